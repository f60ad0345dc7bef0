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


def numbers(count):
    """SQL of the numbers from 0 to `count` - 1, in a column `n`."""
    return f"SELECT n FROM generate_series(0, {count - 1}) AS t(n)"


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
    result = await connection.query(f"{numbers(count)} ORDER BY n")
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
    result = await connection.query(numbers(5_000))
    assert len(await result.fetch(4_999)) == 4_999
    assert len(await result.fetch(10)) == 1
    assert result.closed


async def test_reading_a_closed_result_says_so(connection):
    result = await connection.query(numbers(5_000))
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
    await connection.execute(f"CREATE TABLE dev.numbers AS {numbers(10)}")
    await connection.execute("INSERT INTO dev.numbers VALUES (?)", [10])
    assert await rows(connection, "SELECT count(*) FROM dev.numbers") == [(11,)]
    with pytest.raises(WarehouseError, match="boom2"):
        await connection.execute("SELECT CAST('boom' || n AS INTEGER) FROM generate_series(2, 3) AS t(n)")


async def test_several_results_of_one_connection_are_open_at_once(connection):
    first = await connection.query(numbers(3_000))
    second = await connection.query("SELECT n + 1 FROM generate_series(0, 2999) AS t(n)")
    assert (await first.fetch(2), await second.fetch(2)) == ([(0,), (1,)], [(1,), (2,)])
    assert (len(await first.fetch()), len(await second.fetch())) == (2_998, 2_998)


async def test_closing_a_connection_closes_what_it_left_open(warehouse):
    connection = warehouse.connect()
    rows_left, batches_left = [await connection.query(numbers(200_000), arrow=arrow) for arrow in (False, True)]
    await connection.close()
    assert rows_left.closed
    assert batches_left.closed
    with pytest.raises(WarehouseError, match="closed before it was read"):
        await rows_left.fetch()
    with pytest.raises(WarehouseError, match="closed before it was read"):
        await batches(batches_left)


async def test_an_abandoned_result_is_closed_from_any_thread(connection):
    result = await connection.query(numbers(5_000))
    await anyio.to_thread.run_sync(result.abandon)
    # Whoever has the connection does it, which may be another thread.
    while not result.closed:
        await anyio.sleep(0.001)


@pytest.mark.parametrize("arrow", [False, True])
async def test_an_abandoned_result_frees_what_it_holds(warehouse, arrow):
    connection = warehouse.connect()
    for _ in range(50):
        (await connection.query(numbers(200_000), arrow=arrow)).abandon()
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


async def test_a_result_that_two_tasks_read_at_once_says_so(connection):
    result = await connection.query(numbers(2_000_000))
    with pytest.raises(BaseExceptionGroup) as raised:
        await at_once(result.fetch, result.fetch)
    assert raised.group_contains(WarehouseError, match="two tasks")


# -- Arrow ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 5, 70_000])
async def test_arrow_batches_hold_every_row_once_in_order(connection, count):
    result = await connection.query("SELECT n - 1 AS n FROM generate_series(1, ?) AS t(n)", [count], arrow=True)
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
    late = "CASE WHEN n = 200000 THEN CAST('too late at ' || n AS INTEGER) ELSE n END"
    sql = f"SELECT {late} AS n FROM generate_series(0, 299999) AS t(n)"
    with pytest.raises(WarehouseError, match="too late at 200000"):
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
        ("SELECT CAST('x' AS INTEGER)", "['\"]x['\"]"),
        ("SELECT * FROM parameters", "parameters.* does not exist"),
        ("SELECT $1", "parameters: 1|1 argument"),
    ],
)
async def test_a_failed_statement_is_one_warehouse_error(connection, sql, message):
    with pytest.raises(WarehouseError, match=message) as raised:
        await (await connection.query(sql)).fetch()
    assert raised.value.sql == sql
    assert not raised.value.transient
    assert await rows(connection, "SELECT 1") == [(1,)]


# -- transactions -----------------------------------------------------------------------------------------------------


async def test_statements_together_happen_all_or_not_at_all(connection):
    await connection.execute("CREATE TABLE dev.log (n INTEGER)")
    insert = "INSERT INTO dev.log VALUES (?)"
    with pytest.raises(WarehouseError):
        await connection.execute_together([(insert, [1]), ("SELECT CAST('stop' AS INTEGER)", None), (insert, [2])])
    assert await rows(connection, "SELECT * FROM dev.log") == []
    await connection.execute_together([(insert, [1]), (insert, [2])])
    assert await rows(connection, "SELECT sum(n) FROM dev.log") == [(3,)]


async def test_cancelled_statements_together_have_not_happened(connection, endless):
    await connection.execute("CREATE TABLE dev.log (n INTEGER)")
    with anyio.move_on_after(0.1) as scope:
        await connection.execute_together(
            [("INSERT INTO dev.log VALUES (1)", None), (f"CREATE TABLE dev.never AS {endless}", None)]
        )
    assert scope.cancelled_caught
    assert await rows(connection, "SELECT * FROM dev.log") == []


# -- cancellation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrow", [False, True])
async def test_a_cancelled_query_stops_within_a_second(connection, endless, arrow):
    started = time.monotonic()
    with anyio.move_on_after(0.1) as scope:
        await connection.query(f"SELECT max(product) FROM ({endless}) AS numbers", arrow=arrow)
    assert scope.cancelled_caught
    assert time.monotonic() - started < 1.5
    assert await rows(connection, "SELECT 1") == [(1,)]


async def test_a_cancelled_fetch_stops_and_closes_the_result(connection, endless):
    result = await connection.query(endless)
    with anyio.move_on_after(0.1) as scope:
        await result.fetch()
    assert scope.cancelled_caught
    assert result.closed


async def test_cancelling_one_statement_leaves_others_alone(warehouse, endless, dialect):
    async def count() -> None:
        counted.append(await rows(warehouse.connect(), dialect.half_a_second))

    counted = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        with anyio.move_on_after(0.1):
            await warehouse.connect().execute(f"CREATE TABLE dev.never AS {endless}")
    assert len(counted) == 1


async def test_a_failing_task_stops_the_statements_of_its_siblings(warehouse, endless):
    async def work() -> None:
        await warehouse.connect().query(f"SELECT max(product) FROM ({endless}) AS numbers")

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
            sql = numbers(draw.choice([1, 1_000, 10**9]))
            await warehouse.build_table(connection, Relation("", "dev", f"t{number}"), sql)
            await (await connection.query(numbers(draw.choice([1, 10**7])))).fetch()
        await connection.close()

    async def build_some(first: int) -> None:
        for number in range(first, 100, 4):
            await build(number)

    draw = random.Random(7)
    await at_once(*(functools.partial(build_some, first) for first in range(4)))
    assert [found for found in await warehouse.relations() if found.name.startswith("_s_")] == []
