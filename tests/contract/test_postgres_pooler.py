"""Behind a pooler in transaction mode, such as PgBouncer: nothing is left in a session for the next transaction; and
connections that it encrypts, which the tests' own server is not built for."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from urllib.parse import urlsplit

import anyio
import pytest

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.relation_options import Index
from sqlbuild.domain.settings import Connection
from sqlbuild.errors import WarehouseError, WarehouseUnreachable
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker, Extent
from sqlbuild.state.target_lock import process_mark
from sqlbuild.warehouses.postgres_lock import PostgresTargetLock
from transaction_pooler import running_pooler

# The connections of asyncpg live on a loop of asyncio in any case.
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture
def pooled(make_postgres, postgres_server, postgres_url):
    with running_pooler(postgres_server.folder, postgres_server.port, sessions=2) as port:
        database = urlsplit(postgres_url).path.strip("/")

        def make(**options):
            dsn = f"postgresql://postgres@127.0.0.1:{port}/{database}"
            return make_postgres(**{"dsn": dsn, "prepared_statements": False, **options})

        yield make


async def test_models_loads_and_queries_need_nothing_of_a_session(pooled):
    warehouse = pooled()
    await warehouse.open()
    await warehouse.create_schemas(["dev"])
    commits = Relation("", "dev", "commits")
    await warehouse.connect().execute(
        "CREATE TABLE dev.commits (run_id text, node_id text, part text, attempt int, committed_at timestamp)"
    )

    async def work(number: int) -> None:
        connection = warehouse.connect()
        table, view = Relation("", "dev", f"t{number}"), Relation("", "dev", f"v{number}")
        order = BuildOrder(indexes=[Index(columns=("n",))])
        for turn in range(2):
            marker = CommitMarker(relation=commits, run_id="r", node=NodeId("model:t"), part="table", attempt=turn)
            sql = f"SELECT n, {turn} AS turn FROM generate_series(1, 1500) AS s(n)"
            await warehouse.build_table(connection, table, sql, commit=marker, order=order)
            await warehouse.build_view(connection, view, f"SELECT * FROM dev.t{number}")
            await warehouse.append_json(connection, table, ['{"n": 7}'])
            await connection.execute(f"UPDATE dev.t{number} SET turn = ? WHERE n = ?", [turn, 7])
            found = await connection.query(f"SELECT turn FROM dev.v{number} WHERE n >= ?", [1])
            assert await found.fetch() == [(turn,)] * 1_501
            first = await connection.query(f"SELECT n FROM dev.v{number} ORDER BY n", extent=Extent.FIRST)
            assert await first.fetch() == [(1,)]
        await connection.close()

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(work, number)
    await warehouse.close()


def test_a_target_is_held_by_one_through_the_pooler_as_without(postgres_server, postgres_url):
    database = urlsplit(postgres_url).path.strip("/")
    with running_pooler(postgres_server.folder, postgres_server.port, sessions=3) as port:
        dsn = f"postgresql://postgres@127.0.0.1:{port}/{database}"
        connection = Connection(name="c", adapter="postgres", options={"dsn": dsn, "prepared_statements": False})
        first, second = (PostgresTargetLock(connection, "dev", process_mark=process_mark) for _ in range(2))
        try:
            assert first.take()
            first.tell(command="sqb build", target="dev", run_id="r1")
            for _ in range(3):
                assert not second.take()
            assert second.holder().run_id == "r1"
            first.release()
            assert second.take()
        finally:
            first.release()
            second.release()


async def test_what_to_set_is_said_where_prepared_statements_are_lost(pooled):
    warehouse = pooled(prepared_statements=True)
    await warehouse.open()
    connection = warehouse.connect()

    async def repeat() -> None:
        for number in range(10):
            await (await connection.query("SELECT ? + 1", [number], extent=Extent.WHOLE)).fetch()

    with pytest.raises(WarehouseError, match="prepared statement") as found:
        await repeat()
    assert found.value.help == "behind a pooler such as PgBouncer set prepared_statements = false for the connection"
    assert "NOTE" not in str(found.value)
    await connection.close()
    await warehouse.close()


async def test_a_parameter_that_a_pooler_does_not_know_is_named_with_what_to_do(pooled):
    with pytest.raises(WarehouseUnreachable, match="unsupported startup parameter: work_mem") as found:
        await pooled(settings={"work_mem": "1MB"}).open()
    assert "ALTER ROLE" in found.value.help


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with a key, a certificate of `localhost` that is its own authority, and another authority."""
    folder = tmp_path_factory.mktemp("certificates")
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    for name in ("server", "other"):
        words = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name}"
        names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(["openssl", *words.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def encrypted(make_postgres, postgres_server, postgres_url, certificates):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with running_pooler(postgres_server.folder, postgres_server.port, sessions=2, tls=tls) as port:

        def make(host: str = "localhost", **options):
            dsn = f"postgresql://postgres@{host}:{port}/{urlsplit(postgres_url).path.strip('/')}"
            return make_postgres(dsn=dsn, prepared_statements=False, **options)

        yield make


@ON_ASYNCIO
@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
async def test_connections_are_encrypted_as_asked(encrypted, certificates, sslmode):
    checked = {} if sslmode == "require" else {"sslrootcert": str(certificates / "server.pem")}
    warehouse = encrypted(sslmode=sslmode, **checked)
    await warehouse.open()
    await warehouse.create_schemas(["dev"])
    await warehouse.close()


@ON_ASYNCIO
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sslmode": "verify-full", "sslrootcert": "other.pem"},
            "no encrypted connection .* certificate verify failed",
        ),
        ({"sslmode": "verify-full", "sslrootcert": "server.pem", "host": "127.0.0.1"}, "no encrypted connection .*"),
        ({"sslmode": "verify-ca", "sslrootcert": "missing.pem"}, r"the file .*missing\.pem does not exist"),
    ],
)
async def test_a_server_that_cannot_be_trusted_is_not_connected_to(encrypted, certificates, options, message):
    options = {**options, "sslrootcert": str(certificates / options["sslrootcert"])}
    with pytest.raises(WarehouseUnreachable, match=message):
        await encrypted(**options).open()


@ON_ASYNCIO
async def test_a_server_without_encryption_is_refused_where_it_is_wanted(pooled):
    with pytest.raises(WarehouseUnreachable, match="rejected SSL upgrade"):
        await pooled(sslmode="require").open()


async def test_whoever_opens_it_to_read_only_cannot_write_through_a_pooler_either(pooled):
    warehouse = pooled()
    await warehouse.open(read_only=True)
    connection = warehouse.connect()
    assert await (await connection.query("SELECT ? + 1", [1])).fetch() == [(2,)]
    for attempt in (
        connection.execute("CREATE TABLE t (a int)"),
        connection.query("CREATE TABLE t AS SELECT 1 AS a", extent=Extent.WHOLE),
        connection.execute_together([("CREATE TABLE t (a int)", None)]),
    ):
        with pytest.raises(WarehouseError, match="read-only transaction"):
            await attempt
    await connection.close()
    await warehouse.close()
