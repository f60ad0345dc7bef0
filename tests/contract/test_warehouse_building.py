"""What every warehouse promises of relations, and of building and filling them; see `sqlbuild.interfaces.warehouse`."""

from __future__ import annotations

import dataclasses
import time

import anyio
import pytest

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.relation_options import Index
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker
from sqlbuild.sql.rendering import quote_relation
from sqlbuild.warehouses.postgres import PostgresWarehouse

ORDERS = Relation("", "dev", "orders")

ODD_NAMES = [
    "orders",
    "select",
    "two words",
    'with "quotes"',
    "it's; DROP TABLE canary; --",
    "line\nbreak",
    "bestellungen_übersicht",
    "注文",
    "x" * 300,
    "a.b",
    "%s $1 ?",
]


async def rows(connection, sql, parameters=None):
    return await (await connection.query(sql, parameters)).fetch()


# -- relations --------------------------------------------------------------------------------------------------------


async def test_relations_are_tables_and_views_with_lower_case_names(warehouse, connection):
    assert await warehouse.relations() == frozenset()
    await connection.execute("CREATE TABLE dev.Orders AS SELECT 1 AS a")
    await connection.execute('CREATE VIEW dev."Order View" AS SELECT 1 AS a')
    await connection.execute("CREATE TEMP TABLE hidden AS SELECT 1 AS a")
    assert await warehouse.relations() == {Relation("", "dev", "orders"), Relation("", "dev", "order view")}


async def test_schemas_are_created_once_whoever_asks(warehouse):
    await warehouse.create_schemas(["dev", "Reports", 'odd "name"', "Reports"])
    await warehouse.create_schemas(["reports", 'odd "name"'])
    connection = warehouse.connect()
    await warehouse.build_view(connection, Relation("", 'odd "name"', "v"), "SELECT 1 AS a")
    assert await warehouse.relations() == {Relation("", 'odd "name"', "v")}
    await connection.close()


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_names_survive_as_they_are(warehouse, connection, dialect, name):
    await connection.execute("CREATE TABLE dev.canary AS SELECT 1 AS alive")
    name = name[: dialect.longest_name - len("_view")]
    relation, view = Relation("", "dev", name), Relation("", "dev", f"{name}_view")
    await warehouse.build_table(connection, relation, "SELECT 1 AS a")
    await warehouse.build_view(connection, view, f"SELECT * FROM {quote_relation(relation)}")
    await warehouse.append_json(connection, relation, ['{"a": 2}'])
    assert await rows(connection, f"SELECT sum(a) FROM {quote_relation(relation)}") == [(3,)]
    stored = {Relation("", "dev", found.name.lower()) for found in (relation, view)}
    assert await warehouse.relations() == {*stored, Relation("", "dev", "canary")}


# -- building ---------------------------------------------------------------------------------------------------------


async def test_a_table_is_replaced_whole(warehouse, connection):
    for version in (1, 2, 3):
        await warehouse.build_table(connection, ORDERS, f"SELECT {version} AS v{version} -- end")
        assert await rows(connection, "SELECT * FROM dev.orders") == [(version,)]
    assert await warehouse.relations() == {ORDERS}


async def test_a_view_is_replaced(warehouse, connection):
    for version in (1, 2):
        await warehouse.build_view(connection, ORDERS, f"SELECT {version} AS v{version} -- end")
        assert await rows(connection, "SELECT * FROM dev.orders") == [(version,)]


async def test_a_table_takes_the_place_of_a_view_and_the_reverse(warehouse, connection):
    await warehouse.build_view(connection, ORDERS, "SELECT 1 AS a")
    await warehouse.build_table(connection, ORDERS, "SELECT 2 AS a")
    assert await rows(connection, "SELECT * FROM dev.orders") == [(2,)]
    await warehouse.build_view(connection, ORDERS, "SELECT 3 AS a")
    assert await rows(connection, "SELECT * FROM dev.orders") == [(3,)]
    assert await warehouse.relations() == {ORDERS}


async def test_a_table_with_an_index_is_replaced(warehouse, connection):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a")
    await connection.execute("CREATE INDEX orders_a ON dev.orders (a)")
    await warehouse.build_table(connection, ORDERS, "SELECT 2 AS a")
    assert await rows(connection, "SELECT * FROM dev.orders") == [(2,)]


async def test_a_table_may_be_built_from_what_it_was(warehouse, connection):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a")
    await warehouse.build_table(connection, ORDERS, "SELECT a + 1 AS a FROM dev.orders")
    assert await rows(connection, "SELECT * FROM dev.orders") == [(2,)]


async def test_a_failed_build_leaves_the_old_table_and_nothing_else(warehouse, connection):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a")
    late = "SELECT CASE WHEN n > 5000 THEN CAST('late' || n AS INTEGER) END AS a FROM generate_series(0, 9999) AS t(n)"
    for broken in ("SELECT * FROM nowhere", late):
        with pytest.raises(WarehouseError):
            await warehouse.build_table(connection, ORDERS, broken)
    with pytest.raises(WarehouseError):
        await warehouse.build_view(connection, ORDERS, "SELECT * FROM nowhere")
    assert await rows(connection, "SELECT * FROM dev.orders") == [(1,)]
    assert await warehouse.relations() == {ORDERS}


async def test_a_cancelled_build_stops_within_a_second_and_leaves_the_old_table(warehouse, connection, endless):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a")
    started = time.monotonic()
    with anyio.move_on_after(0.2) as scope:
        await warehouse.build_table(connection, ORDERS, endless)
    assert scope.cancelled_caught
    assert time.monotonic() - started < 1.5
    assert await rows(connection, "SELECT * FROM dev.orders") == [(1,)]
    assert await warehouse.relations() == {ORDERS}


async def test_lines_in_messages_are_lines_of_the_query(warehouse, connection):
    with pytest.raises(WarehouseError, match="LINE 3:"):
        await warehouse.build_table(
            connection, ORDERS, "SELECT\n  1 AS a,\n  nothing\nFROM generate_series(1, 3) AS t(n)"
        )


async def test_readers_see_one_generation_while_a_table_is_rebuilt_again_and_again(warehouse):
    async def rebuild() -> None:
        connection = warehouse.connect()
        for generation in range(20):
            await warehouse.build_table(connection, ORDERS, f"SELECT {generation} AS g FROM generate_series(1, 2000)")
        await connection.close()
        finished.set()

    finished = anyio.Event()
    connection = warehouse.connect()
    await warehouse.build_table(connection, ORDERS, "SELECT -1 AS g FROM generate_series(1, 2000)")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rebuild)
        while not finished.is_set():
            (seen,) = await rows(connection, "SELECT count(*), count(DISTINCT g) FROM dev.orders")
            assert seen == (2_000, 1)


async def test_eight_connections_build_different_tables_at_once(warehouse):
    async def build(number: int) -> None:
        connection = warehouse.connect()
        for repeat in range(5):
            relation = Relation("", "dev", f"t{number}")
            sql = f"SELECT n, {repeat} AS r FROM generate_series(1, 5000) AS t(n)"
            await warehouse.build_table(connection, relation, sql)
            await warehouse.build_view(connection, Relation("", "dev", f"v{number}"), f"SELECT * FROM dev.t{number}")
            assert await rows(connection, f"SELECT count(*), max(r) FROM dev.v{number}") == [(5_000, repeat)]
        await connection.close()

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(build, number)
    assert len(await warehouse.relations()) == 16


async def test_relations_of_almost_one_name_are_built_at_once(warehouse):
    """PostgreSQL makes types beside them, whose names it would take for one."""
    names = [*(f"{'x' * 62}{number}" for number in range(5)), "x" * 62, "orders", "_orders", "__orders"]

    async def build(name: str) -> None:
        connection = warehouse.connect()
        for _ in range(2):
            await warehouse.build_table(connection, Relation("", "dev", name), "SELECT 1 AS a")
        await connection.close()

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(build, name)
    assert {relation.name for relation in await warehouse.relations()} == set(names)


# -- markers ----------------------------------------------------------------------------------------------------------


async def test_a_table_takes_effect_together_with_its_marker(warehouse, marked):
    connection, commit, seen = marked
    await warehouse.build_view(connection, ORDERS, "SELECT 1 AS a")
    await warehouse.build_table(connection, ORDERS, "SELECT 2 AS a", commit=commit("model:orders"))
    await warehouse.build_table(connection, ORDERS, "SELECT 3 AS a", commit=commit("model:orders", attempt=2))
    assert await rows(connection, "SELECT * FROM dev.orders") == [(3,)]
    assert await seen() == [("r1", "model:orders", "whole", 1), ("r1", "model:orders", "whole", 2)]


async def test_without_the_marker_nothing_takes_effect(warehouse, marked):
    connection, commit, _ = marked
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a")
    await connection.execute("DROP TABLE dev._sqlbuild_commits")
    with pytest.raises(WarehouseError, match="_sqlbuild_commits"):
        await warehouse.build_table(connection, ORDERS, "SELECT 2 AS a", commit=commit("model:orders"))
    assert await rows(connection, "SELECT * FROM dev.orders") == [(1,)]
    assert await warehouse.relations() == {ORDERS}


async def test_what_fails_or_is_cancelled_leaves_no_marker(warehouse, marked, endless):
    connection, commit, seen = marked
    for broken in ("SELECT * FROM nowhere", "SELECT CAST('late' AS INTEGER) AS a"):
        with pytest.raises(WarehouseError):
            await warehouse.build_table(connection, ORDERS, broken, commit=commit("model:orders"))
    with anyio.move_on_after(0.2) as scope:
        await warehouse.build_table(connection, ORDERS, endless, commit=commit("model:orders"))
    assert scope.cancelled_caught
    assert await seen() == []
    assert await warehouse.relations() == {Relation("", "dev", "_sqlbuild_commits")}


async def test_fifty_tables_and_their_markers_are_written_at_once(warehouse, marked):
    _, commit, seen = marked

    async def build(number: int) -> None:
        connection = warehouse.connect()
        for attempt in (1, 2, 3):
            table, view = Relation("", "dev", f"t{number}"), Relation("", "dev", f"v{number}")
            sql = "SELECT n FROM generate_series(1, 2000) AS t(n)"
            await warehouse.build_table(connection, table, sql, commit=commit(f"model:t{number}", attempt))
            await warehouse.build_view(connection, view, f"SELECT * FROM dev.t{number}")
        await connection.close()

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(build, number)
    built = ((f"model:t{number}", attempt) for number in range(50) for attempt in (1, 2, 3))
    assert await seen() == sorted(("r1", name, "whole", attempt) for name, attempt in built)


async def test_no_marker_is_written_into_another_database(warehouse, marked):
    connection, commit, seen = marked
    marker = dataclasses.replace(commit("model:orders"), relation=Relation("elsewhere", "dev", "_sqlbuild_commits"))
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a", commit=marker)
    assert await rows(connection, "SELECT * FROM dev.orders") == [(1,)]
    assert await seen() == []


@pytest.fixture
async def marked(connection):
    """A connection to a warehouse with a table of commits, a function that makes markers, and what is in the table."""
    await connection.execute(
        "CREATE TABLE dev._sqlbuild_commits "
        "(run_id VARCHAR, node_id VARCHAR, part VARCHAR, committed_at TIMESTAMP, attempt INTEGER)"
    )
    table = Relation("", "dev", "_sqlbuild_commits")

    def commit(node: str, attempt: int = 1) -> CommitMarker:
        return CommitMarker(relation=table, run_id="r1", node=NodeId(node), part="whole", attempt=attempt)

    async def seen() -> list[tuple[object, ...]]:
        sql = "SELECT run_id, node_id, part, attempt FROM dev._sqlbuild_commits ORDER BY node_id, attempt"
        return await rows(connection, sql)

    return connection, commit, seen


# -- JSON rows --------------------------------------------------------------------------------------------------------


async def test_json_rows_are_appended_by_name_with_the_types_of_the_table(warehouse, connection):
    await connection.execute(
        'CREATE TABLE dev.orders (id INTEGER, "Total" DECIMAL(10, 2), paid BOOLEAN, sent TIMESTAMP, note VARCHAR)'
    )
    await warehouse.append_json(
        connection,
        ORDERS,
        [
            '{"note": "{\\"a\\": [1]}", "id": 1, "Total": 9.5, "sent": "2026-11-22T15:02:11.123456"}',
            '{"id": 2, "paid": true, "note": "caf\\u00e9 \U0001f600", "unknown": 1}',
            "{}",
        ],
    )
    found = await rows(connection, 'SELECT id, "Total"::VARCHAR, paid, sent::VARCHAR, note FROM dev.orders ORDER BY id')
    assert found == [
        (1, "9.50", None, "2026-11-22 15:02:11.123456", '{"a": [1]}'),
        (2, None, True, None, "café 😀"),
        (None, None, None, None, None),
    ]


@pytest.mark.parametrize("broken", [['{"id": "x"}'], ['{"id": '], ['{"id": 1}', '{"id": "1.2.3"}']])
async def test_json_that_does_not_fit_appends_nothing(warehouse, connection, broken):
    await connection.execute("CREATE TABLE dev.orders (id INTEGER)")
    with pytest.raises(WarehouseError):
        await warehouse.append_json(connection, ORDERS, broken)
    assert await rows(connection, "SELECT * FROM dev.orders") == []


# -- indexes ----------------------------------------------------------------------------------------------------------


async def test_indexes_are_made_anew_with_each_table(warehouse, connection):
    order = BuildOrder(
        indexes=[Index(columns=("id",), unique=True), Index(columns=("lower(status)",), name="by status")]
    )
    for version in (1, 2):
        await warehouse.build_table(connection, ORDERS, f"SELECT {version} AS id, 'a' AS status", order=order)
        for name in ("orders_id_key", "by status"):
            with pytest.raises(WarehouseError, match="already exists"):
                await connection.execute(f'CREATE INDEX "{name}" ON dev.orders (id)')
    with pytest.raises(WarehouseError, match=r"(?i)unique"):
        await warehouse.build_table(
            connection, ORDERS, "SELECT 3 AS id, 'b' AS status UNION ALL SELECT 3, 'c'", order=order
        )
    assert await rows(connection, "SELECT id FROM dev.orders") == [(2,)]


async def test_the_version_of_a_table_changes_with_its_rows(warehouse):
    relation = Relation("", "dev", "versioned")
    await warehouse.create_schemas(["dev"])
    assert await warehouse.table_version(relation) is None
    connection = warehouse.connect()
    await connection.execute("CREATE TABLE dev.versioned AS SELECT 1 AS id")
    await connection.execute("CREATE VIEW dev.seen AS SELECT 1 AS id")
    before = await warehouse.table_version(relation)
    assert before == await warehouse.table_version(relation)
    await connection.execute("INSERT INTO dev.versioned SELECT 2")
    if isinstance(warehouse, PostgresWarehouse):
        # Otherwise the server may count some seconds later.
        await connection.execute("SELECT pg_stat_force_next_flush()")
    await connection.close()
    assert await warehouse.table_version(relation) != before
    assert await warehouse.table_version(Relation("", "dev", "seen")) is None
