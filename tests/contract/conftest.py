"""Implementations under contract. A new one is added to the fixture of its interface here, and must pass unchanged."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.results import NodeResult, RunResult, Status
from sqlbuild.domain.settings import Connection
from sqlbuild.state.duckdb_statements import DUCKDB_STATEMENTS
from sqlbuild.state.in_memory import InMemoryJournal, InMemoryStateStore
from sqlbuild.state.journal import FileJournal, read_journal
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.state.postgres_statements import POSTGRES_STATEMENTS
from sqlbuild.state.warehouse_tables import WarehouseStateStore
from sqlbuild.warehouses.duckdb import DuckDBWarehouse
from sqlbuild.warehouses.postgres import PostgresWarehouse

ENDLESS = (
    "SELECT CAST(a.n AS BIGINT) * b.n AS product "
    "FROM generate_series(0, 999999) AS a(n), generate_series(0, 999999) AS b(n)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dialect:
    """What the tests of every warehouse cannot say in one way."""

    longest_name: int
    half_a_second: str
    """A query that works for about that long."""


DIALECTS = {
    "duckdb": Dialect(
        longest_name=1_000,
        half_a_second="SELECT sum(a.range * b.range % 3) FROM range(3000) a, range(10000) b",
    ),
    "postgres": Dialect(
        longest_name=63,
        half_a_second="SELECT sum(a.n::BIGINT * b.n % 3) FROM generate_series(1, 1000) a(n), generate_series(1, 2000) b(n)",
    ),
}


@pytest.fixture
def endless() -> str:
    """A query that runs for hours."""
    return ENDLESS


@pytest.fixture
def make_duckdb(tmp_path):
    """DuckDB warehouses on files of the test's folder, by name, with options."""

    def make(database: str = "warehouse.duckdb", **options: object) -> DuckDBWarehouse:
        path = database if database == ":memory:" else str(tmp_path / database)
        settings = Connection(name="local", adapter="duckdb", options={"database": path, **options})
        return DuckDBWarehouse(settings, str(tmp_path))

    return make


@pytest.fixture
def make_postgres(postgres_url):
    """PostgreSQL warehouses in the test's own database, with options."""

    def make(**options: object) -> PostgresWarehouse:
        return PostgresWarehouse(Connection(name="local", adapter="postgres", options={"dsn": postgres_url, **options}))

    return make


@pytest.fixture(params=["duckdb file", "duckdb memory", "postgres"])
def place(request) -> str:
    """Every warehouse under contract."""
    return str(request.param)


@pytest.fixture
def dialect(place) -> Dialect:
    return DIALECTS[place.split()[0]]


@pytest.fixture
def make_warehouse(request, place):
    """Warehouses in one place, not opened; a second one sees what the first has built, except in memory."""
    if place == "postgres":
        return request.getfixturevalue("make_postgres")
    make_duckdb = request.getfixturevalue("make_duckdb")
    return lambda **options: make_duckdb(":memory:" if place == "duckdb memory" else "warehouse.duckdb", **options)


@pytest.fixture
async def warehouse(make_warehouse):
    opened = make_warehouse()
    await opened.open()
    await opened.create_schemas(["dev"])
    yield opened
    await opened.close()


@pytest.fixture
async def connection(warehouse):
    connected = warehouse.connect()
    yield connected
    await connected.close()


@pytest.fixture(params=["duckdb file", "postgres"])
async def state_place(request):
    """A warehouse for state tables, opened, in which nothing is yet."""
    warehouse = request.getfixturevalue("make_postgres" if request.param == "postgres" else "make_duckdb")()
    await warehouse.open()
    yield warehouse
    await warehouse.close()


@pytest.fixture
def statements_of():
    """How the state tables speak to a warehouse."""
    return lambda warehouse: POSTGRES_STATEMENTS if isinstance(warehouse, PostgresWarehouse) else DUCKDB_STATEMENTS


@pytest.fixture
def make_store(statements_of):
    def make(warehouse, schema: str = "dev", **given: object) -> WarehouseStateStore:
        return WarehouseStateStore(warehouse, schema, statements=statements_of(warehouse), **given)

    return make


@pytest.fixture(params=["in memory", "duckdb", "postgres"])
async def store(request, make_store):
    if request.param == "in memory":
        yield InMemoryStateStore()
        return
    warehouse = request.getfixturevalue(f"make_{request.param}")()
    await warehouse.open()
    yield make_store(warehouse)
    await warehouse.close()


@pytest.fixture(params=["in memory", "file", "file with fsync"])
def journal(request, tmp_path):
    """A journal and the function that reads it back."""
    if request.param == "in memory":
        kept = InMemoryJournal(run_id="r1", target="dev")
        yield kept, kept.read
        return
    folder = str(tmp_path / "runs" / "r1")
    written = FileJournal(folder, run_id="r1", target="dev", fsync=request.param == "file with fsync")
    yield written, lambda: read_journal(written.path)
    written.close()


@pytest.fixture
def make_result():
    def make(node: str = "task:a", **facts: object) -> NodeResult:
        kind, name = node.split(":")
        given = {"run_id": "r1", "status": Status.SUCCEEDED, "attempt": 1, "finished_at": 1_800_000_000.5, **facts}
        return NodeResult(node_id=NodeId(node), kind=NodeKind(kind), name=name, **given)

    return make


@pytest.fixture
def make_record(make_result):
    return lambda *args, **facts: result_to_json(make_result(*args, **facts))


@pytest.fixture
def make_run():
    def make(run_id: str = "r1", results: tuple[NodeResult, ...] = (), **facts: object) -> RunResult:
        given = {"started_at": 1_800_000_000.0, "finished_at": 1_800_000_001.0, "exit_code": 0, **facts}
        return RunResult(run_id=run_id, target="dev", results={r.node_id: r for r in results}, **given)

    return make


@pytest.fixture
def in_another_process():
    """Start Python code in a process of its own and wait for its first line of output; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def rows():
    """What a statement finds in a warehouse."""

    async def found(warehouse, sql):
        connection = warehouse.connect()
        try:
            return await (await connection.query(sql)).fetch()
        finally:
            await connection.close()

    return found
