"""What is DuckDB's own: opening, locking, settings, files, and what its errors become."""

from __future__ import annotations

import os
import signal
import sys
import threading

import anyio
import duckdb
import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.drivers import duckdb_errors
from sqlbuild.errors import MissingExtra, TargetLocked, WarehouseError, WarehouseUnreachable
from sqlbuild.failpoints import FailpointReached

HOLD = "import duckdb, sys; held = duckdb.connect({path!r}); print('held', flush=True); sys.stdin.read()"


# -- opening ----------------------------------------------------------------------------------------------------------


async def test_a_file_held_by_another_process_is_locked_and_its_holder_named(make_duckdb, tmp_path, in_another_process):
    path = str(tmp_path / "warehouse.duckdb")
    holder = in_another_process(HOLD.format(path=path))
    for read_only in (False, True):
        with pytest.raises(TargetLocked, match=f"process {holder.pid} ") as raised:
            await make_duckdb().open(read_only=read_only)
        assert f"kill {holder.pid}" in raised.value.help
        assert path in str(raised.value)
    holder.kill()
    holder.wait()
    warehouse = make_duckdb()
    await warehouse.open()
    await warehouse.close()


async def test_closing_gives_the_file_to_other_processes(make_duckdb, tmp_path, in_another_process):
    warehouse = make_duckdb()
    await warehouse.open()
    connection = warehouse.connect()
    assert connection.raw.execute("SELECT 1").fetchone() == (1,)
    await connection.query("SELECT range FROM range(10000)")
    await connection.query("SELECT range FROM range(1000000)", arrow=True)
    await warehouse.close()
    holder = in_another_process(HOLD.format(path=str(tmp_path / "warehouse.duckdb")))
    assert holder.poll() is None


@pytest.mark.parametrize("content", [b"", b"id,name\n1,x\n", b"\0" * 20_000])
@pytest.mark.parametrize("name", ["warehouse.duckdb", "orders.csv"])
async def test_a_file_that_is_no_database_is_named(make_duckdb, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WarehouseUnreachable, match=f"{name} is not a DuckDB database") as raised:
        await make_duckdb(name).open()
    assert raised.value.help
    assert (tmp_path / name).read_bytes() == content


async def test_a_folder_or_a_missing_folder_is_named(make_duckdb, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(WarehouseUnreachable, match="is a folder"):
        await make_duckdb("data").open()
    with pytest.raises(WarehouseUnreachable, match=r"the folder of .* does not exist") as raised:
        await make_duckdb("no/such/place.duckdb").open()
    assert f"mkdir -p {tmp_path}/no/such" in raised.value.help


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
async def test_a_file_without_permission_is_named(make_duckdb, tmp_path):
    (tmp_path / "warehouse.duckdb").touch(mode=0o000)
    with pytest.raises(WarehouseUnreachable, match="permission denied"):
        await make_duckdb().open()


def test_a_denied_permission_is_told_from_other_failures(tmp_path):
    with pytest.raises(WarehouseUnreachable, match="permission denied") as raised:
        open_with(duckdb.IOException('IO Error: Cannot open file "x": Permission denied'), str(tmp_path / "x"))
    assert "ls -l" in raised.value.help


def test_a_lock_without_a_named_holder_is_a_lock(tmp_path):
    path = str(tmp_path / "x")
    with pytest.raises(TargetLocked, match="another process") as raised:
        open_with(duckdb.IOException(f'IO Error: Could not set lock on file "{path}": Resource unavailable'), path)
    assert f"fuser {path}" in raised.value.help


def open_with(error, path):
    with duckdb_errors.translated_opening(path):
        raise error


async def test_reading_a_target_that_was_never_built_says_so_and_creates_nothing(make_duckdb, tmp_path):
    warehouse = make_duckdb()
    assert not warehouse.exists()
    with pytest.raises(WarehouseUnreachable, match="nothing was built yet"):
        await warehouse.open(read_only=True)
    assert list(tmp_path.iterdir()) == []


async def test_a_read_only_warehouse_is_read_and_not_written(make_duckdb, rows):
    warehouse = make_duckdb()
    await warehouse.open()
    await warehouse.create_schemas(["dev"])
    await warehouse.build_table(warehouse.connect(), Relation("", "dev", "t"), "SELECT 7 AS a")
    await warehouse.close()
    for reader, read_only in ((make_duckdb(), True), (make_duckdb(read_only=True), False)):
        await reader.open(read_only=read_only)
        assert await rows(reader, "FROM dev.t") == [(7,)]
        with pytest.raises(WarehouseError, match="read-only"):
            await reader.build_view(reader.connect(), Relation("", "dev", "v"), "SELECT 1")
        await reader.close()


async def test_a_database_in_memory_can_be_opened_for_reading(make_duckdb, rows):
    warehouse = make_duckdb(":memory:")
    await warehouse.open(read_only=True)
    assert await rows(warehouse, "SELECT 1") == [(1,)]
    await warehouse.close()


async def test_a_file_that_the_authors_code_holds_differently_is_explained(make_duckdb, tmp_path):
    held = duckdb.connect(str(tmp_path / "warehouse.duckdb"), config={"threads": 1})
    with pytest.raises(WarehouseUnreachable, match="already open in this process") as raised:
        await make_duckdb().open()
    assert "ctx.query" in raised.value.help
    held.close()


async def test_a_warehouse_that_is_not_open_says_so(make_duckdb):
    with pytest.raises(WarehouseError, match="not open"):
        await make_duckdb().connect().execute("SELECT 1")
    await make_duckdb().close()


async def test_nothing_is_left_running_after_a_close(make_duckdb, endless):
    before = set(threading.enumerate())
    warehouse = make_duckdb()
    await warehouse.open()
    connections = [warehouse.connect() for _ in range(3)]
    for connection in connections:
        await connection.query(endless)
    await warehouse.close()
    # Trio keeps the threads of its own for a while.
    assert not [new for new in set(threading.enumerate()) - before if not new.name.startswith("Trio")]


# -- settings ---------------------------------------------------------------------------------------------------------


async def test_settings_hold_for_every_connection(make_duckdb, rows):
    warehouse = make_duckdb(settings={"threads": 1, "memory_limit": "1GB", "preserve_insertion_order": False})
    await warehouse.open()
    for _ in range(2):
        sql = "SELECT current_setting('threads'), current_setting('preserve_insertion_order')"
        assert await rows(warehouse, sql) == [(1, False)]
    await warehouse.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"thread": 1}, "does not take the setting thread = 1"), ({"threads": "many"}, "threads = 'many'")],
)
async def test_a_wrong_setting_is_named(make_duckdb, settings, message):
    with pytest.raises(WarehouseUnreachable, match=message) as raised:
        await make_duckdb(settings=settings).open()
    assert "settings" in raised.value.help


async def test_builtin_extensions_are_loaded_and_unknown_ones_named(make_duckdb):
    warehouse = make_duckdb(extensions=("json", "parquet"))
    await warehouse.open()
    await warehouse.close()
    with pytest.raises(WarehouseUnreachable, match=r"extension \./no_such\.duckdb_extension"):
        await make_duckdb(extensions=("./no_such.duckdb_extension",)).open()


async def test_file_names_in_sql_are_relative_to_the_project(make_duckdb, tmp_path, monkeypatch, rows):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.csv").write_text("id,total\n1,10\n2,20\n")
    monkeypatch.chdir("/")
    warehouse = make_duckdb()
    await warehouse.open()
    assert await rows(warehouse, "SELECT sum(total) FROM 'data/orders.csv'") == [(30,)]
    assert await rows(warehouse, "SELECT count(*) FROM read_csv('data/*.csv')") == [(2,)]
    await warehouse.close()


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "message", "help"),
    [
        ("ATTACH 'host=localhost' AS pg (TYPE postgres)", "postgres", "extensions"),
        ("SELECT * FROM 'https://example.invalid/x.parquet'", "httpfs", "extensions"),
        ("SELECT * FROM 'no_such_file.csv'", "no_such_file.csv", ""),
        ("SELECT '\ud800'", "cannot be handed to DuckDB", ""),
    ],
)
async def test_what_duckdb_refuses_comes_with_what_to_do(make_duckdb, sql, message, help, rows):
    warehouse = make_duckdb(":memory:")
    await warehouse.open()
    with pytest.raises(WarehouseError, match=message) as raised:
        await rows(warehouse, sql)
    assert help in raised.value.help
    assert "https://duckdb.org" not in str(raised.value)
    await warehouse.close()


def test_messages_lose_their_noise_and_stay_bounded():
    error = duckdb.CatalogException(
        'Catalog Error: Table with name nope does not exist!\nDid you mean "pg_enum"?\n\nLINE 1: FROM nope\n     ^\n'
        "See also https://duckdb.org/docs/current/connect"
    )
    assert raised_for(error) == "Catalog Error: Table with name nope does not exist!\n\nLINE 1: FROM nope\n     ^"
    assert len(raised_for(duckdb.InvalidInputException("x" * 1_000_000))) < 11_000


def raised_for(error):
    with pytest.raises(WarehouseError) as raised, duckdb_errors.translated("FROM nope"):
        raise error
    return str(raised.value)


async def test_a_missing_python_package_is_named(make_duckdb, monkeypatch):
    warehouse = make_duckdb(":memory:")
    await warehouse.open()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    connection = warehouse.connect()
    with pytest.raises(MissingExtra) as raised:
        await connection.query("SELECT 1", arrow=True)
    assert "sqlbuild[arrow]" in raised.value.help
    await warehouse.close()


# -- the raw object ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def opened(make_duckdb):
    warehouse = make_duckdb()
    await warehouse.open()
    await warehouse.create_schemas(["dev"])
    yield warehouse
    await warehouse.close()


async def test_closing_a_connection_stops_what_its_raw_object_runs(opened, endless):
    def run() -> None:
        with pytest.raises(Exception, match=r"INTERRUPT|closed"):
            raw.execute(f"SELECT max(product) FROM ({endless})")

    connection = opened.connect()
    raw = connection.raw
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, run)
        await anyio.sleep(0.05)
        await connection.close()


async def test_a_conflict_of_two_writers_is_transient(opened):
    connection = opened.connect()
    await connection.execute("CREATE TABLE dev.accounts AS SELECT 1 AS id, 10 AS balance")
    other = opened.connect()
    other.raw.execute("BEGIN; UPDATE dev.accounts SET balance = 11")
    with pytest.raises(WarehouseError) as raised:
        await connection.execute("UPDATE dev.accounts SET balance = 12")
    assert raised.value.transient
    await other.close()
    await connection.execute("UPDATE dev.accounts SET balance = 12")


async def test_the_raw_object_keeps_its_own_transaction_and_closes_with_the_connection(opened, rows):
    connection = opened.connect()
    await connection.execute("CREATE TABLE dev.log (n INTEGER)")
    other = opened.connect()
    other.raw.execute("BEGIN; INSERT INTO dev.log VALUES (1)")
    assert other.raw.execute("SELECT count(*) FROM dev.log").fetchone() == (1,)
    await other.close()
    assert await rows(opened, "SELECT count(*) FROM dev.log") == [(0,)]


async def test_a_reader_in_a_transaction_keeps_seeing_the_old_table(opened):
    connection, orders = opened.connect(), Relation("", "dev", "orders")
    await opened.build_table(connection, orders, "SELECT 1 AS a")
    reader = opened.connect()
    reader.raw.execute("BEGIN")
    assert reader.raw.execute("FROM dev.orders").fetchall() == [(1,)]
    await opened.build_table(connection, orders, "SELECT 2 AS b, 3 AS c")
    assert reader.raw.execute("FROM dev.orders").fetchall() == [(1,)]
    reader.raw.execute("COMMIT")
    assert reader.raw.execute("FROM dev.orders").fetchall() == [(2, 3)]
    await reader.close()


# -- the swap ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["model.staged", "model.swapped"])
async def test_a_failure_around_the_swap_leaves_one_whole_generation(make_duckdb, monkeypatch, point, rows):
    def reach(name: str) -> None:
        if name == point:
            raise FailpointReached(name)

    warehouse = make_duckdb()
    await warehouse.open()
    await warehouse.create_schemas(["dev"])
    connection, orders = warehouse.connect(), Relation("", "dev", "orders")
    await warehouse.build_table(connection, orders, "SELECT 1 AS generation")
    monkeypatch.setattr("sqlbuild.warehouses.duckdb.failpoint", reach)
    with pytest.raises(FailpointReached):
        await warehouse.build_table(connection, orders, "SELECT 2 AS generation")
    assert await rows(warehouse, "FROM dev.orders") == [(2 if point == "model.swapped" else 1,)]
    assert await warehouse.relations() == {orders}
    await warehouse.close()


BUILD = """
import anyio
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.settings import Connection
from sqlbuild.warehouses.duckdb import DuckDBWarehouse

async def build():
    warehouse = DuckDBWarehouse(Connection(name="local", adapter="duckdb", options={{"database": {path!r}}}), "/")
    await warehouse.open()
    await warehouse.create_schemas(["dev"])
    sql = "SELECT {generation} AS generation FROM range(10000)"
    await warehouse.build_table(warehouse.connect(), Relation("", "dev", "orders"), sql)
    await warehouse.close()

anyio.run(build)
print("built", flush=True)
"""


@pytest.mark.parametrize("point", ["model.staged", "model.swapped"])
async def test_a_process_killed_around_the_swap_leaves_one_whole_generation(
    make_duckdb, tmp_path, in_another_process, monkeypatch, point, rows
):
    path = str(tmp_path / "warehouse.duckdb")
    in_another_process(BUILD.format(path=path, generation=1)).wait()
    monkeypatch.setenv("SQB_FAILPOINT", f"{point}:kill")
    assert in_another_process(BUILD.format(path=path, generation=2)).wait() == -signal.SIGKILL
    monkeypatch.delenv("SQB_FAILPOINT")
    warehouse = make_duckdb()
    await warehouse.open()
    seen = await rows(warehouse, "SELECT DISTINCT generation, count(*) OVER () FROM dev.orders")
    assert seen == [(2 if point == "model.swapped" else 1, 10_000)]
    orders = Relation("", "dev", "orders")
    await warehouse.build_table(warehouse.connect(), orders, "SELECT 3 AS generation")
    assert await warehouse.relations() == {orders}
    await warehouse.close()
