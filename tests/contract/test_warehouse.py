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
            await warehouse.build_table(connection, Relation("", "dev", f"t{number}"), sql)
            await (await connection.query(f"SELECT range FROM range({draw.choice([1, 10**7])})")).fetch()
        await connection.close()

    async def build_some(first: int) -> None:
        for number in range(first, 100, 4):
            await build(number)

    draw = random.Random(7)
    await at_once(*(functools.partial(build_some, first) for first in range(4)))
    assert [found for found in await warehouse.relations() if found.name.startswith("_s_")] == []
