from __future__ import annotations

import datetime

import anyio
import pytest

from sqlbuild.domain.cursor_windows import Extent, Window
from sqlbuild.domain.ids import Relation, node_id
from sqlbuild.domain.incremental import CursorType, IncrementalStrategy, OnSchemaChange
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.incremental import Applied, DeltaOrder, Standing
from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.warehouses.duckdb_deltas import DuckDBDeltas
from sqlbuild.warehouses.postgres_deltas import PostgresDeltas

TABLE = Relation("", "dev", "orders")
STAGING = Relation("", "dev", "_sqlbuild_staging__r__orders")
APPEND, DELETE_INSERT, MERGE = IncrementalStrategy
THREE_TO_FIVE = Window(start=3, end=5, covers_from=3)


@pytest.fixture
def deltas(place):
    return PostgresDeltas(lock_seconds=2.0) if place == "postgres" else DuckDBDeltas()


@pytest.fixture
async def orders(connection):
    """A table of the orders 1 to 4, and the table of markers."""
    await connection.execute(
        "CREATE TABLE dev.orders AS SELECT CAST(id AS BIGINT) AS id, status "
        "FROM (VALUES (1, 'new'), (2, 'new'), (3, 'new'), (4, 'new')) AS t(id, status)"
    )
    await connection.execute(
        "CREATE TABLE dev.commits "
        "(run_id VARCHAR(40), node_id VARCHAR(99), part VARCHAR(99), committed_at TIMESTAMP, attempt INTEGER)"
    )


def order_of(strategy: IncrementalStrategy, **fields: object) -> DeltaOrder:
    return DeltaOrder(relation=TABLE, staging=STAGING, strategy=strategy, **fields)  # type: ignore[arg-type]


def marker(part: str = "delta 1") -> CommitMarker:
    return CommitMarker(
        relation=Relation("", "dev", "commits"), run_id="R", node=node_id("model", "orders"), part=part, attempt=1
    )


async def rows(connection, sql: str = "SELECT * FROM dev.orders ORDER BY id") -> list[tuple]:
    return await (await connection.query(sql)).fetch()


async def applied(deltas, connection, order: DeltaOrder, sql: str) -> Applied:
    await deltas.stage(connection, order, sql)
    return await deltas.apply(connection, order, await deltas.check(connection, order), marker())


def delta(*values: str, columns: str = "id, status") -> str:
    return f"SELECT * FROM (VALUES {', '.join(values)}) AS t({columns})"


async def test_it_is_known_what_a_relation_is(deltas, connection, orders):
    await connection.execute("CREATE VIEW dev.seen AS SELECT 1 AS one")
    assert await deltas.standing(connection, TABLE) is Standing.TABLE
    assert await deltas.standing(connection, Relation("", "dev", "seen")) is Standing.OTHER
    assert await deltas.standing(connection, Relation("", "dev", "nothing")) is Standing.MISSING


@pytest.mark.parametrize(
    ("type_", "low", "high", "has_zone"),
    [
        ("TIMESTAMP", "2026-04-01T10:20:30.000005", "2026-04-02", False),
        ("DATE", "2026-04-01", "2026-04-02", False),
        ("TIMESTAMP WITH TIME ZONE", "2026-04-01T10:20:30+02:00", "2026-04-02T00:00:00+00:00", True),
    ],
)
async def test_moments_have_an_extent_in_utc(deltas, connection, type_, low, high, has_zone):
    values = ", ".join(f"(CAST('{each}' AS {type_}))" for each in (high, low))
    await connection.execute(f"CREATE TABLE dev.t AS SELECT moment FROM (VALUES {values}, (NULL)) AS t(moment)")
    found = await deltas.extent(connection, "dev.t", "moment", CursorType.TIMESTAMP)
    moments = [datetime.datetime.fromisoformat(each) for each in (low, high)]
    naive = [each.astimezone(datetime.UTC).replace(tzinfo=None) if each.tzinfo else each for each in moments]
    assert found == Extent(low=naive[0], high=naive[1], has_zone=has_zone)
    empty = await deltas.extent(connection, "(SELECT * FROM dev.t WHERE false) AS t", "moment", CursorType.TIMESTAMP)
    assert (empty.low, empty.high) == (None, None)


@pytest.mark.parametrize("type_", ["SMALLINT", "BIGINT", "DECIMAL(20, 0)"])
async def test_whole_numbers_have_an_extent(deltas, connection, type_):
    await connection.execute(
        f"CREATE TABLE dev.t AS SELECT CAST(n AS {type_}) AS n FROM (VALUES (3), (NULL), (7)) AS t(n)"
    )
    assert await deltas.extent(connection, "dev.t", "n", CursorType.INTEGER) == Extent(low=3, high=7)


@pytest.mark.parametrize(
    ("sql", "type_"),
    [
        ("SELECT CAST('a' AS VARCHAR) AS c", CursorType.INTEGER),
        ("SELECT CAST('a' AS VARCHAR) AS c", CursorType.TIMESTAMP),
        ("SELECT CAST(1.5 AS DECIMAL(4, 2)) AS c", CursorType.INTEGER),
        ("SELECT 5 AS c", CursorType.TIMESTAMP),
        ("SELECT CAST('infinity' AS TIMESTAMP) AS c", CursorType.TIMESTAMP),
        ("SELECT 1 AS other", CursorType.INTEGER),
    ],
)
async def test_what_is_no_cursor_has_none(deltas, connection, sql, type_):
    with pytest.raises(WarehouseError):
        await deltas.extent(connection, f"({sql}) AS t", "c", type_)


async def test_appended_rows_come_to_those_that_are_there_with_a_marker(deltas, connection, orders):
    done = await applied(deltas, connection, order_of(APPEND, unique_key=("id",)), delta("(4, 'paid')", "(5, 'new')"))
    assert done == Applied(rows=2)
    assert (await rows(connection))[3:] in (
        [(4, "new"), (4, "paid"), (5, "new")],
        [(4, "paid"), (4, "new"), (5, "new")],
    )
    assert await deltas.parts_of(connection, marker()) == {"delta 1"}
    assert await deltas.standing(connection, STAGING) is Standing.MISSING


async def test_rows_of_a_window_are_replaced_and_others_are_not(deltas, connection, orders):
    order = order_of(DELETE_INSERT, cursor="ID", window=THREE_TO_FIVE, replaces_window=True)
    assert (await applied(deltas, connection, order, delta("(4, 'paid')"))).rows == 1
    assert await rows(connection) == [(1, "new"), (2, "new"), (4, "paid")]


async def test_a_window_of_which_nothing_comes_is_emptied(deltas, connection, orders):
    order = order_of(DELETE_INSERT, cursor="id", window=THREE_TO_FIVE, replaces_window=True)
    await applied(deltas, connection, order, "SELECT CAST(3 AS BIGINT) AS id, 'x' AS status WHERE false")
    assert await rows(connection) == [(1, "new"), (2, "new")]


async def test_rows_with_the_same_key_are_replaced(deltas, connection, orders):
    order = order_of(DELETE_INSERT, unique_key=("id",))
    await applied(deltas, connection, order, delta("(2, 'paid')", "(9, 'new')"))
    assert await rows(connection) == [(1, "new"), (2, "paid"), (3, "new"), (4, "new"), (9, "new")]


async def test_merged_rows_change_those_with_their_key_but_not_excluded_columns(deltas, connection, orders):
    await connection.execute("ALTER TABLE dev.orders ADD COLUMN seen VARCHAR(9) DEFAULT 'first'")
    order = order_of(MERGE, unique_key=("ID",), merge_exclude=("Seen",))
    sql = delta("(2, 'paid', 'later')", "(9, 'new', 'later')", columns="id, status, seen")
    await applied(deltas, connection, order, sql)
    assert await rows(connection) == [
        (1, "new", "first"), (2, "paid", "first"), (3, "new", "first"), (4, "new", "first"), (9, "new", "later"),
    ]  # fmt: skip


async def test_a_key_may_be_made_of_several_columns_and_be_all_there_is(deltas, connection, orders):
    order = order_of(MERGE, unique_key=("id", "status"))
    await applied(deltas, connection, order, delta("(2, 'new')", "(2, 'paid')"))
    assert await rows(connection, "SELECT * FROM dev.orders WHERE id = 2 ORDER BY status") == [(2, "new"), (2, "paid")]


@pytest.mark.parametrize(
    ("order", "sql", "message"),
    [
        (order_of(MERGE, unique_key=("id",)), delta("(2, 'a')", "(NULL, 'b')"), "column id is NULL in 1 of 2 rows"),
        (
            order_of(MERGE, unique_key=("id",)),
            delta("(2, 'a')", "(2, 'b')", "(3, 'a')", "(3, 'b')"),
            "the query gives 2 rows with the unique key id = 2 .and 1 more keys are there more than once",
        ),
        (order_of(MERGE, unique_key=("key",)), delta("(2, 'a')"), "`unique_key` names the column key, which the query does not give: id, status"),
        (
            order_of(DELETE_INSERT, cursor="id", window=THREE_TO_FIVE, replaces_window=True),
            delta("(NULL, 'a')", "(3, 'b')"),
            "column id is NULL in 1 of 2 rows, but it is the cursor",
        ),
        (
            order_of(DELETE_INSERT, cursor="id", window=THREE_TO_FIVE, replaces_window=True),
            delta("(2, 'a')", "(3, 'b')"),
            "column id is outside of the window 3 to 5 in 1 of 2 rows",
        ),
    ],
)  # fmt: skip
async def test_rows_that_would_not_be_replaced_later_are_refused(deltas, connection, orders, order, sql, message):
    await deltas.stage(connection, order, sql)
    with pytest.raises(WarehouseError, match=message):
        await deltas.check(connection, order)
    await deltas.discard(connection, order)
    assert await deltas.standing(connection, STAGING) is Standing.MISSING
    assert len(await rows(connection)) == 4


NEW_COLUMN = "SELECT CAST(9 AS BIGINT) AS id, 'new' AS status, CAST(7 AS INTEGER) AS total"
LESS = "SELECT CAST(9 AS BIGINT) AS id"


async def test_new_columns_are_added_and_those_that_are_gone_are_left_empty(deltas, connection, orders):
    order = order_of(APPEND)
    done = await applied(deltas, connection, order, NEW_COLUMN)
    assert (done.added_columns, done.notes) == (("total",), ())
    assert (await rows(connection))[-2:] == [(4, "new", None), (9, "new", 7)]
    done = await applied(deltas, connection, order, "SELECT CAST(10 AS BIGINT) AS id")
    assert done.notes == ("status, total of dev.orders is not in the query any more: NULL in new rows",)
    assert (await rows(connection))[-1] == (10, None, None)


async def test_all_columns_become_those_of_the_query(deltas, connection, orders):
    await connection.execute("CREATE UNIQUE INDEX orders_by_id ON dev.orders (id)")
    order = order_of(MERGE, unique_key=("id",), on_schema_change=OnSchemaChange.SYNC_ALL_COLUMNS)
    sql = "SELECT CAST(4 AS BIGINT) AS id, CAST(2.5 AS DECIMAL(4, 1)) AS total"
    done = await applied(deltas, connection, order, sql)
    assert (done.added_columns, done.dropped_columns) == (("total",), ("status",))
    done = await applied(deltas, connection, order, "SELECT CAST(4 AS BIGINT) AS id, 'x' AS total")
    assert [text.partition(":")[0] for text in done.changed_columns] == ["total"]
    assert await rows(connection) == [(1, None), (2, None), (3, None), (4, "x")]
    with pytest.raises(WarehouseError):
        await connection.execute("INSERT INTO dev.orders VALUES (4, 'twice')")


async def test_other_columns_are_ignored_or_refused(deltas, connection, orders):
    ignoring = order_of(APPEND, on_schema_change=OnSchemaChange.IGNORE)
    done = await applied(deltas, connection, ignoring, NEW_COLUMN)
    assert done.notes == ("on_schema_change ignore: total is new",)
    assert (await rows(connection))[-1] == (9, "new")
    failing = order_of(APPEND, on_schema_change=OnSchemaChange.FAIL)
    for sql, what in (
        (NEW_COLUMN, "total is new"),
        (LESS, "status is gone"),
        ("SELECT '1' AS id, 'a' AS status", "id is"),
    ):
        with pytest.raises(WarehouseError, match=f"the columns of the query are not those of dev.orders: .*{what}"):
            await applied(deltas, connection, failing, sql)
    assert len(await rows(connection)) == 5


async def test_what_goes_wrong_while_rows_are_applied_leaves_the_table_as_it_was(deltas, connection, orders):
    await connection.execute("CREATE UNIQUE INDEX orders_by_id ON dev.orders (id)")
    with pytest.raises(WarehouseError):
        await applied(deltas, connection, order_of(APPEND), "SELECT CAST(4 AS BIGINT) AS id, 'b' AS status, 1 AS more")
    assert await rows(connection) == [(1, "new"), (2, "new"), (3, "new"), (4, "new")]
    assert await deltas.parts_of(connection, marker()) == frozenset()


async def test_readers_see_the_old_rows_until_the_new_ones_are_there(deltas, warehouse, connection, orders, place):
    order = order_of(DELETE_INSERT, cursor="id", window=THREE_TO_FIVE, replaces_window=True)
    await deltas.stage(connection, order, delta("(4, 'paid')"))
    other = warehouse.connect()
    assert len(await rows(other)) == 4
    await deltas.apply(connection, order, await deltas.check(connection, order), marker())
    assert len(await rows(other)) == 3
    await other.close()


async def test_a_cancelled_query_leaves_nothing(deltas, connection, orders, endless):
    with anyio.move_on_after(0.3) as scope:
        await deltas.stage(
            connection, order_of(APPEND), f"SELECT sum(product) AS id, 'x' AS status FROM ({endless}) AS e"
        )
    assert scope.cancelled_caught
    assert await deltas.standing(connection, STAGING) is Standing.MISSING
