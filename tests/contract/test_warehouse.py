"""What every warehouse promises; see `sqlbuild.interfaces.warehouse`."""

from __future__ import annotations

import collections
import functools
import random
import time
import types

import anyio
import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.errors import WarehouseError
from sqlbuild.sql.rendering import quote_relation

ORDERS = Relation("", "dev", "orders")
STAGING = "_staging__orders"

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


async def batches(result, rows=10_000):
    found = []
    while (batch := await result.fetch_batch(rows)) is not None:
        found.append(batch)
    return found


async def at_once(*functions):
    async with anyio.create_task_group() as tasks:
        for function in functions:
            tasks.start_soon(function)


# -- rows -------------------------------------------------------------------------------------------------------------


async def test_a_small_result_is_read_and_closed_at_once(connection):
    result = await connection.query("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY a")
    assert result.columns == ("a", "b")
    assert result.closed
    assert await result.fetch() == [(1, "x"), (2, None)]
    assert await result.fetch() == []


@pytest.mark.parametrize("count", [0, 999, 1_000, 2_500])
@pytest.mark.parametrize("limit", [None, 1, 1_000, 1_300])
async def test_fetching_gives_every_row_once_in_order(connection, count, limit):
    result = await connection.query(f"SELECT range FROM range({count}) ORDER BY range")
    fetched = []
    for _ in range(100 if limit == 1 else count + 2):
        page = await result.fetch(limit)
        fetched += page
        if limit is None or len(page) < limit:
            assert result.closed
            break
    assert fetched == [(number,) for number in range(len(fetched))]
    assert len(fetched) == (min(count, 100) if limit == 1 else count)
    await result.close()


async def test_a_large_result_stays_open_until_its_last_row_is_read(connection):
    result = await connection.query("SELECT range FROM range(5000)")
    assert len(await result.fetch(4_999)) == 4_999
    assert len(await result.fetch(10)) == 1
    assert result.closed


async def test_reading_a_closed_result_says_so(connection):
    result = await connection.query("SELECT range FROM range(5000)")
    await result.close()
    assert result.closed
    with pytest.raises(WarehouseError, match="closed before it was read"):
        await result.fetch()
    await result.close()


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT ?::INTEGER + ?::INTEGER, ?", [1, 2, "x'--"]),
        ("SELECT ?::INTEGER + ?::INTEGER, ?", (1, 2, "x'--")),
        ("SELECT ?::INTEGER + ?::INTEGER, ?", collections.deque([1, 2, "x'--"])),
        ("SELECT $a::INTEGER + $b::INTEGER, $c", {"a": 1, "b": 2, "c": "x'--"}),
        ("SELECT $a::INTEGER + $b::INTEGER, $c", types.MappingProxyType({"a": 1, "b": 2, "c": "x'--"})),
    ],
)
async def test_parameters_are_bound_by_position_and_by_name(connection, sql, parameters):
    assert await rows(connection, sql, parameters) == [(3, "x'--")]


async def test_a_text_in_the_place_of_parameters_is_refused(connection):
    with pytest.raises(WarehouseError, match="a list or a mapping"):
        await connection.query("SELECT ?", "abc")


@pytest.mark.parametrize("sql", ["", "  ", "-- only a comment"])
async def test_an_empty_statement_is_refused(connection, sql):
    with pytest.raises(WarehouseError, match="empty"):
        await connection.query(sql)
    with pytest.raises(WarehouseError, match="empty"):
        await connection.query(sql, arrow=True)
    with pytest.raises(WarehouseError, match="empty"):
        await connection.execute(sql)


async def test_a_statement_without_rows_runs_to_its_end(connection):
    await connection.execute("CREATE TABLE dev.numbers AS SELECT range AS n FROM range(10)")
    await connection.execute("INSERT INTO dev.numbers VALUES (?)", [10])
    assert await rows(connection, "SELECT count(*) FROM dev.numbers") == [(11,)]
    with pytest.raises(WarehouseError, match="boom"):
        await connection.execute("SELECT error('boom') FROM range(3)")


async def test_several_results_of_one_connection_are_open_at_once(connection):
    first = await connection.query("SELECT range FROM range(3000)")
    second = await connection.query("SELECT range + 1 FROM range(3000)")
    assert (await first.fetch(2), await second.fetch(2)) == ([(0,), (1,)], [(1,), (2,)])
    assert (len(await first.fetch()), len(await second.fetch())) == (2_998, 2_998)


async def test_closing_a_connection_closes_what_it_left_open(warehouse):
    connection = warehouse.connect()
    rows_left, batches_left = [
        await connection.query("SELECT range FROM range(200000)", arrow=arrow) for arrow in (False, True)
    ]
    await connection.close()
    assert rows_left.closed
    assert batches_left.closed
    with pytest.raises(WarehouseError, match="closed before it was read"):
        await rows_left.fetch()
    with pytest.raises(WarehouseError, match="closed before it was read"):
        await batches(batches_left)


async def test_an_abandoned_result_is_closed_from_any_thread(connection):
    result = await connection.query("SELECT range FROM range(5000)")
    await anyio.to_thread.run_sync(result.abandon)
    assert result.closed


@pytest.mark.parametrize("arrow", [False, True])
async def test_an_abandoned_result_frees_what_it_holds(warehouse, arrow):
    connection = warehouse.connect()
    for _ in range(50):
        (await connection.query("SELECT range FROM range(200000)", arrow=arrow)).abandon()
    await connection.close()


async def test_closing_a_connection_stops_a_result_that_is_being_read(warehouse, endless):
    async def read() -> None:
        with pytest.raises(WarehouseError, match="interrupted"):
            await result.fetch()

    connection = warehouse.connect()
    result = await connection.query(endless)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.sleep(0.05)
        await connection.close()
        assert result.closed


async def test_closing_a_connection_stops_what_its_raw_object_runs(warehouse, endless):
    def run() -> None:
        with pytest.raises(Exception, match=r"INTERRUPT|closed"):
            raw.execute(f"SELECT max(product) FROM ({endless})")

    connection = warehouse.connect()
    raw = connection.raw
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, run)
        await anyio.sleep(0.05)
        await connection.close()


async def test_a_result_that_two_tasks_read_at_once_says_so(connection):
    result = await connection.query("SELECT range FROM range(2000000)")
    with pytest.raises(BaseExceptionGroup) as raised:
        await at_once(result.fetch, result.fetch)
    assert raised.group_contains(WarehouseError, match="two tasks")


# -- Arrow ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 5, 70_000])
async def test_arrow_batches_hold_every_row_once_in_order(connection, count):
    result = await connection.query("SELECT range AS n FROM range(?)", [count], arrow=True)
    found = await batches(result, 3_000)
    assert {tuple(batch.schema.names) for batch in found} == {("n",)}
    assert max(batch.num_rows for batch in found) <= 3_000
    assert [number for batch in found for number in batch.column(0).to_pylist()] == list(range(count))
    assert result.closed
    assert await result.fetch_batch(1) is None


async def test_an_empty_arrow_result_still_tells_its_columns(connection):
    result = await connection.query("SELECT 1::INTEGER AS a, 'x' AS b WHERE false", arrow=True)
    batch = await result.fetch_batch(10)
    assert (batch.num_rows, [str(field.type) for field in batch.schema]) == (0, ["int32", "string"])
    assert await result.fetch_batch(10) is None


async def test_an_error_while_arrow_reads_is_a_warehouse_error(connection):
    sql = "SELECT CASE WHEN range = 200000 THEN error('too late') ELSE range END AS n FROM range(300000)"
    with pytest.raises(WarehouseError, match="too late"):
        await batches(await connection.query(sql, arrow=True))


async def test_rows_and_batches_are_not_mixed(connection):
    with pytest.raises(WarehouseError, match="for rows"):
        await (await connection.query("SELECT 1")).fetch_batch(1)
    with pytest.raises(WarehouseError, match="for Arrow"):
        await (await connection.query("SELECT 1", arrow=True)).fetch()


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELECT no_such_column FROM (SELECT 1 AS a)", "no_such_column"),
        ("SELEC 1", "syntax error"),
        ("SELECT CAST('x' AS INTEGER)", "'x'"),
        ("SELECT * FROM parameters", "Table with name parameters does not exist"),
        ("SELECT ?", "parameters: 1"),
    ],
)
async def test_a_failed_statement_is_one_warehouse_error(connection, sql, message):
    with pytest.raises(WarehouseError, match=message) as raised:
        await (await connection.query(sql)).fetch()
    assert raised.value.sql == sql
    assert not raised.value.transient
    assert await rows(connection, "SELECT 1") == [(1,)]


async def test_a_conflict_of_two_writers_is_transient(warehouse, connection):
    await connection.execute("CREATE TABLE dev.accounts AS SELECT 1 AS id, 10 AS balance")
    other = warehouse.connect()
    other.raw.execute("BEGIN; UPDATE dev.accounts SET balance = 11")
    with pytest.raises(WarehouseError) as raised:
        await connection.execute("UPDATE dev.accounts SET balance = 12")
    assert raised.value.transient
    await other.close()
    await connection.execute("UPDATE dev.accounts SET balance = 12")


# -- transactions -----------------------------------------------------------------------------------------------------


async def test_statements_together_happen_all_or_not_at_all(connection):
    await connection.execute("CREATE TABLE dev.log (n INTEGER)")
    insert = "INSERT INTO dev.log VALUES (?)"
    with pytest.raises(WarehouseError):
        await connection.execute_together([(insert, [1]), ("SELECT error('stop')", None), (insert, [2])])
    assert await rows(connection, "SELECT * FROM dev.log") == []
    await connection.execute_together([(insert, [1]), (insert, [2])])
    assert await rows(connection, "SELECT sum(n) FROM dev.log") == [(3,)]


async def test_cancelled_statements_together_have_not_happened(connection, endless):
    await connection.execute("CREATE TABLE dev.log (n INTEGER)")
    with anyio.move_on_after(0.1) as scope:
        await connection.execute_together(
            [("INSERT INTO dev.log VALUES (1)", None), (f"CREATE TABLE x AS {endless}", None)]
        )
    assert scope.cancelled_caught
    assert await rows(connection, "SELECT * FROM dev.log") == []


async def test_the_raw_object_keeps_its_own_transaction_and_closes_with_the_connection(warehouse, connection):
    await connection.execute("CREATE TABLE dev.log (n INTEGER)")
    other = warehouse.connect()
    other.raw.execute("BEGIN; INSERT INTO dev.log VALUES (1)")
    assert other.raw.execute("SELECT count(*) FROM dev.log").fetchone() == (1,)
    await other.close()
    assert await rows(connection, "SELECT count(*) FROM dev.log") == [(0,)]


# -- cancellation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrow", [False, True])
async def test_a_cancelled_query_stops_within_a_second(connection, endless, arrow):
    started = time.monotonic()
    with anyio.move_on_after(0.1) as scope:
        await connection.query(f"SELECT max(product) FROM ({endless})", arrow=arrow)
    assert scope.cancelled_caught
    assert time.monotonic() - started < 1.5
    assert await rows(connection, "SELECT 1") == [(1,)]


async def test_a_cancelled_fetch_stops_and_closes_the_result(connection, endless):
    result = await connection.query(endless)
    with anyio.move_on_after(0.1) as scope:
        await result.fetch()
    assert scope.cancelled_caught
    assert result.closed


async def test_cancelling_one_statement_leaves_others_alone(warehouse, endless):
    async def count() -> None:
        sql = "SELECT sum(a.range * b.range % 3) FROM range(3000) a, range(10000) b"
        counted.append(await rows(warehouse.connect(), sql))

    counted = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        with anyio.move_on_after(0.1):
            await warehouse.connect().execute(f"CREATE TABLE dev.never AS {endless}")
    assert len(counted) == 1


async def test_a_failing_task_stops_the_statements_of_its_siblings(warehouse, endless):
    async def work() -> None:
        await warehouse.connect().query(f"SELECT max(product) FROM ({endless})")

    async def fail() -> None:
        await anyio.sleep(0.1)
        raise ValueError("another node failed")

    started = time.monotonic()
    with pytest.raises(BaseExceptionGroup) as raised:
        await at_once(work, work, work, fail)
    assert raised.group_contains(ValueError, match="another node")
    assert time.monotonic() - started < 2.0


async def test_what_is_cancelled_before_it_begins_does_not_happen(warehouse, connection):
    with anyio.CancelScope() as scope:
        scope.cancel()
        await connection.execute("CREATE TABLE dev.never AS SELECT 1 AS a")
    assert await warehouse.relations() in (frozenset(), frozenset({Relation("", "dev", "never")}))


async def test_cancelling_at_random_moments_leaves_nothing_behind(warehouse):
    async def build(number: int) -> None:
        connection = warehouse.connect()
        with anyio.move_on_after(draw.choice([0, 0.0005, 0.002, 0.01])):
            sql = f"SELECT range AS a FROM range({draw.choice([1, 1_000, 10**9])})"
            await warehouse.build_table(connection, Relation("", "dev", f"t{number}"), sql, staging=f"_s_{number}")
            await (await connection.query(f"SELECT range FROM range({draw.choice([1, 10**7])})")).fetch()
        await connection.close()

    async def build_some(first: int) -> None:
        for number in range(first, 100, 4):
            await build(number)

    draw = random.Random(7)
    await at_once(*(functools.partial(build_some, first) for first in range(4)))
    assert [found for found in await warehouse.relations() if found.name.startswith("_s_")] == []


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
async def test_names_survive_as_they_are(warehouse, connection, name):
    await connection.execute("CREATE TABLE canary AS SELECT 1 AS alive")
    relation = Relation("", "dev", name)
    await warehouse.build_table(connection, relation, "SELECT 1 AS a", staging=f"_staging__{name}")
    await warehouse.build_view(connection, Relation("", "dev", f"{name}_view"), f"FROM {quote_relation(relation)}")
    await warehouse.append_json(connection, relation, '[{"a": 2}]')
    assert await rows(connection, f"SELECT sum(a) FROM {quote_relation(relation)}") == [(3,)]
    stored = {Relation("", "dev", name.lower()), Relation("", "dev", f"{name}_view".lower())}
    assert await warehouse.relations() == {*stored, Relation("", "main", "canary")}


# -- building ---------------------------------------------------------------------------------------------------------


async def test_a_table_is_replaced_whole(warehouse, connection):
    for version in (1, 2, 3):
        await warehouse.build_table(connection, ORDERS, f"SELECT {version} AS v{version} -- end", staging=STAGING)
        assert await rows(connection, "FROM dev.orders") == [(version,)]
    assert await warehouse.relations() == {ORDERS}


async def test_a_view_is_replaced(warehouse, connection):
    for version in (1, 2):
        await warehouse.build_view(connection, ORDERS, f"SELECT {version} AS v{version} -- end")
        assert await rows(connection, "FROM dev.orders") == [(version,)]


async def test_a_table_takes_the_place_of_a_view_and_the_reverse(warehouse, connection):
    await warehouse.build_view(connection, ORDERS, "SELECT 1 AS a")
    await warehouse.build_table(connection, ORDERS, "SELECT 2 AS a", staging=STAGING)
    assert await rows(connection, "FROM dev.orders") == [(2,)]
    await warehouse.build_view(connection, ORDERS, "SELECT 3 AS a")
    assert await rows(connection, "FROM dev.orders") == [(3,)]
    assert await warehouse.relations() == {ORDERS}


async def test_a_table_with_an_index_is_replaced(warehouse, connection):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a", staging=STAGING)
    await connection.execute("CREATE INDEX orders_a ON dev.orders (a)")
    await warehouse.build_table(connection, ORDERS, "SELECT 2 AS a", staging=STAGING)
    assert await rows(connection, "FROM dev.orders") == [(2,)]


async def test_leftovers_in_staging_do_not_matter(warehouse, connection):
    await connection.execute(f"CREATE TABLE dev.{STAGING} AS SELECT 'left over' AS junk")
    await warehouse.build_table(connection, ORDERS, "SELECT 2 AS a", staging=STAGING)
    assert await warehouse.relations() == {ORDERS}


async def test_a_failed_build_leaves_the_old_table_and_nothing_else(warehouse, connection):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a", staging=STAGING)
    for broken in ("SELECT * FROM nowhere", "SELECT CASE WHEN range > 5000 THEN error('late') END FROM range(9999)"):
        with pytest.raises(WarehouseError):
            await warehouse.build_table(connection, ORDERS, broken, staging=STAGING)
    with pytest.raises(WarehouseError):
        await warehouse.build_view(connection, ORDERS, "SELECT * FROM nowhere")
    assert await rows(connection, "FROM dev.orders") == [(1,)]
    assert await warehouse.relations() == {ORDERS}


async def test_a_cancelled_build_stops_within_a_second_and_leaves_the_old_table(warehouse, connection, endless):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a", staging=STAGING)
    started = time.monotonic()
    with anyio.move_on_after(0.2) as scope:
        await warehouse.build_table(connection, ORDERS, endless, staging=STAGING)
    assert scope.cancelled_caught
    assert time.monotonic() - started < 1.5
    assert await rows(connection, "FROM dev.orders") == [(1,)]
    assert await warehouse.relations() == {ORDERS}


async def test_lines_in_messages_are_lines_of_the_query(warehouse, connection):
    with pytest.raises(WarehouseError, match="LINE 3:"):
        await warehouse.build_table(connection, ORDERS, "SELECT\n  1 AS a,\n  nothing\nFROM range(3)", staging=STAGING)


async def test_a_reader_in_a_transaction_keeps_seeing_the_old_table(warehouse, connection):
    await warehouse.build_table(connection, ORDERS, "SELECT 1 AS a", staging=STAGING)
    reader = warehouse.connect()
    reader.raw.execute("BEGIN")
    assert reader.raw.execute("FROM dev.orders").fetchall() == [(1,)]
    await warehouse.build_table(connection, ORDERS, "SELECT 2 AS b, 3 AS c", staging=STAGING)
    assert reader.raw.execute("FROM dev.orders").fetchall() == [(1,)]
    reader.raw.execute("COMMIT")
    assert reader.raw.execute("FROM dev.orders").fetchall() == [(2, 3)]
    await reader.close()


async def test_readers_see_one_generation_while_a_table_is_rebuilt_again_and_again(warehouse):
    async def rebuild() -> None:
        connection = warehouse.connect()
        for generation in range(20):
            await warehouse.build_table(
                connection, ORDERS, f"SELECT {generation} AS g FROM range(2000)", staging=STAGING
            )
        await connection.close()
        finished.set()

    finished = anyio.Event()
    connection = warehouse.connect()
    await warehouse.build_table(connection, ORDERS, "SELECT -1 AS g FROM range(2000)", staging=STAGING)
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
            sql = f"SELECT range, {repeat} AS r FROM range(5000)"
            await warehouse.build_table(connection, relation, sql, staging=f"_staging__t{number}")
            await warehouse.build_view(connection, Relation("", "dev", f"v{number}"), f"FROM dev.t{number}")
            assert await rows(connection, f"SELECT count(*), max(r) FROM dev.v{number}") == [(5_000, repeat)]
        await connection.close()

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(build, number)
    assert len(await warehouse.relations()) == 16


# -- JSON rows --------------------------------------------------------------------------------------------------------


async def test_json_rows_are_appended_by_name_with_the_types_of_the_table(warehouse, connection):
    await connection.execute(
        'CREATE TABLE dev.orders (id INTEGER, "Total" DECIMAL(10, 2), paid BOOLEAN, sent TIMESTAMP, note VARCHAR)'
    )
    await warehouse.append_json(
        connection,
        ORDERS,
        '[{"note": "{\\"a\\": [1]}", "id": 1, "Total": 9.5, "sent": "2026-11-22T15:02:11.123456"},'
        ' {"id": 2, "paid": true, "note": "caf\\u00e9 \U0001f600", "unknown": 1}, {}]',
    )
    found = await rows(connection, 'SELECT id, "Total"::VARCHAR, paid, sent::VARCHAR, note FROM dev.orders ORDER BY id')
    assert found == [
        (1, "9.50", None, "2026-11-22 15:02:11.123456", '{"a": [1]}'),
        (2, None, True, None, "café 😀"),
        (None, None, None, None, None),
    ]


@pytest.mark.parametrize("broken", ['[{"id": "x"}]', '[{"id": ', '[{"id": 1}, {"id": "1.2.3"}]'])
async def test_json_that_does_not_fit_appends_nothing(warehouse, connection, broken):
    await connection.execute("CREATE TABLE dev.orders (id INTEGER)")
    with pytest.raises(WarehouseError):
        await warehouse.append_json(connection, ORDERS, broken)
    assert await rows(connection, "FROM dev.orders") == []
