"""What every warehouse promises of relations that are built in two steps; see `sqlbuild.interfaces.staging`."""

from __future__ import annotations

import anyio
import pytest

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.relation_options import Index
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker
from sqlbuild.runner.staging import drop_staged, staging_name
from sqlbuild.warehouses.duckdb_staging import DuckDBStaging
from sqlbuild.warehouses.postgres_gating import PostgresStaging

ORDERS = Relation("", "dev", "orders")
COMMITS = Relation("", "dev", "commits")
STAGED = Relation("", "dev", staging_name("20260101T000000-abcdef", "orders"))
INDEXED = BuildOrder(indexes=(Index(columns=("a",), unique=True), Index(columns=("b",), name="by_b")))


@pytest.fixture
def staging(place):
    return PostgresStaging() if place == "postgres" else DuckDBStaging()


@pytest.fixture
async def read(connection):
    async def read(sql):
        return await (await connection.query(sql)).fetch()

    return read


async def test_a_staged_table_takes_the_place_of_the_old_one_when_it_is_promoted(warehouse, connection, staging, read):
    await connection.execute(
        "CREATE TABLE dev.commits (run_id TEXT, node_id TEXT, part TEXT, attempt INTEGER, committed_at TIMESTAMP)"
    )
    marker = CommitMarker(relation=COMMITS, run_id="r1", node=NodeId("model:orders"), part="table", attempt=2)
    for version in (1, 2):
        await staging.stage_table(connection, STAGED, f"SELECT 1 AS a, {version} AS b -- end", order=INDEXED)
        assert await warehouse.relations() == {STAGED, COMMITS} | ({ORDERS} if version > 1 else set())
        await staging.promote_table(connection, STAGED, ORDERS, commit=marker, order=INDEXED)
        assert await read("SELECT b FROM dev.orders") == [(version,)]
        assert await warehouse.relations() == {ORDERS, COMMITS}
    assert (
        await read("SELECT run_id, node_id, part, attempt FROM dev.commits") == [("r1", "model:orders", "table", 2)] * 2
    )
    with pytest.raises(WarehouseError):
        await connection.execute("INSERT INTO dev.orders VALUES (1, 3)")


async def test_a_staged_relation_is_replaced_by_one_of_the_same_name_and_can_be_dropped(
    warehouse, connection, staging, read
):
    for version in (1, 2):
        await staging.stage_table(connection, STAGED, f"SELECT {version} AS a")
    assert await read(f'SELECT a FROM dev."{STAGED.name}"') == [(2,)]
    await drop_staged(connection, STAGED)
    for version in (1, 2):
        await staging.stage_view(connection, STAGED, f"SELECT {version} AS v{version}")
    assert await read(f'SELECT * FROM dev."{STAGED.name}"') == [(2,)]
    await drop_staged(connection, STAGED)
    await drop_staged(connection, STAGED)
    assert await warehouse.relations() == frozenset()


async def test_what_is_staged_takes_the_place_of_a_relation_of_the_other_kind(warehouse, connection, staging, read):
    await warehouse.build_view(connection, ORDERS, "SELECT 1 AS a")
    await staging.stage_table(connection, STAGED, "SELECT 2 AS a")
    await staging.promote_table(connection, STAGED, ORDERS)
    assert await read("SELECT * FROM dev.orders") == [(2,)]
    for version in (3, 4):
        await staging.stage_view(connection, STAGED, f"SELECT {version} AS v{version} -- end")
        await staging.promote_view(connection, STAGED, ORDERS, f"SELECT {version} AS v{version} -- end")
        assert await read("SELECT * FROM dev.orders") == [(version,)]
    await staging.stage_table(connection, STAGED, "SELECT 5 AS a")
    await staging.promote_table(connection, STAGED, ORDERS)
    assert await read("SELECT * FROM dev.orders") == [(5,)]
    assert await warehouse.relations() == {ORDERS}


async def test_a_promotion_that_fails_leaves_both_as_they_were(warehouse, connection, staging, read):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a")
    await staging.stage_table(connection, STAGED, "SELECT 2 AS a")
    marker = CommitMarker(relation=COMMITS, run_id="r1", node=NodeId("model:orders"), part="table", attempt=1)
    with pytest.raises(WarehouseError):
        await staging.promote_table(connection, STAGED, ORDERS, commit=marker)
    assert await read("SELECT * FROM dev.orders") == [(1,)]
    assert await read(f'SELECT a FROM dev."{STAGED.name}"') == [(2,)]
    await staging.promote_table(connection, STAGED, ORDERS)
    assert await read("SELECT * FROM dev.orders") == [(2,)]


async def test_staging_that_fails_or_is_cancelled_leaves_nothing(warehouse, connection, staging, endless):
    with pytest.raises(WarehouseError, match=r"missing"):
        await staging.stage_table(connection, STAGED, "SELECT * FROM dev.missing")
    with pytest.raises(WarehouseError, match=r"missing"):
        await staging.stage_view(connection, STAGED, "SELECT * FROM dev.missing")
    with anyio.move_on_after(0.3) as scope:
        await staging.stage_table(connection, STAGED, endless)
    assert scope.cancelled_caught
    assert await warehouse.relations() == frozenset()


async def test_the_longest_names_are_staged_with_their_indexes(warehouse, connection, staging, read):
    relation = Relation("", "dev", "o" * 63)
    staged = Relation("", "dev", staging_name("20260101T000000-abcdef", relation.name))
    await staging.stage_table(connection, staged, "SELECT 1 AS a, 2 AS b", order=INDEXED)
    await staging.promote_table(connection, staged, relation, order=INDEXED)
    assert await read(f"SELECT a, b FROM dev.{relation.name}") == [(1, 2)]
