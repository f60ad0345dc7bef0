"""Tables of a warehouse on PostgreSQL, in the schemas dev and other, and what may stand around them."""

from __future__ import annotations

import pytest

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.interfaces.loading import LoadOrder
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker
from sqlbuild.runner.row_batches import batch_of_rows
from sqlbuild.warehouses.postgres_loading import PostgresLoading

ORDERS = Relation("", "dev", "orders")


@pytest.fixture
def anyio_backend() -> str:
    """All of it happens on the home loop of asyncpg, which is one of asyncio for both."""
    return "asyncio"


@pytest.fixture
async def warehouse(make_postgres):
    opened = make_postgres(lock_timeout=0.3)
    await opened.open()
    await opened.create_schemas(["dev", "other"])
    yield opened
    await opened.close()


@pytest.fixture
def rows(connection):
    async def found(sql: str) -> list[tuple]:
        return await (await connection.query(sql)).fetch()

    return found


@pytest.fixture
def table(warehouse, connection):
    """Build dev.orders."""

    async def build(sql: str, **order) -> None:
        await warehouse.build_table(connection, ORDERS, sql, order=BuildOrder(**order))

    return build


@pytest.fixture
def roles(postgres_server):
    with postgres_server.new_role() as one, postgres_server.new_role() as other:
        yield one, other


@pytest.fixture
def postgres_url(roles, postgres_server):
    """What roles own is gone with the database, so that it has to go before them."""
    with postgres_server.new_database() as name:
        yield postgres_server.dsn(name)


@pytest.fixture
def load(warehouse, connection):
    """Load rows into dev.orders."""
    commits = Relation("", "dev", "_sqlbuild_commits")
    marker = CommitMarker(relation=commits, run_id="r1", node=NodeId("loader:orders"), part="load", attempt=1)

    async def apply(*given: dict, strategy: str = "table", **order):
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS dev._sqlbuild_commits "
            "(run_id text, node_id text, part text, attempt int, committed_at timestamptz)"
        )
        order = {"relation": ORDERS, "staging": "_staging", "strategy": WriteStrategy(strategy), **order}
        begun = PostgresLoading(0.3).begin(LoadOrder(**order))
        await begun.add(connection, batch_of_rows(list(given), 1))
        return await begun.apply(connection, marker)

    return apply
