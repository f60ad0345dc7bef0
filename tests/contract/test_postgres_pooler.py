"""Behind a pooler in transaction mode, such as PgBouncer: nothing is left in a session for the next transaction."""

from __future__ import annotations

from urllib.parse import urlsplit

import anyio
import pytest

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.relation_options import Index
from sqlbuild.errors import WarehouseError, WarehouseUnreachable
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker, Extent
from transaction_pooler import running_pooler


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
