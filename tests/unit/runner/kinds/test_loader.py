"""Whatever a loader returns or yields, called as a run calls it."""

from __future__ import annotations

import threading

import anyio
import pyarrow
import pytest

from sqlbuild.domain.results import SkipMode, Status
from sqlbuild.errors import MissingAwait, NodeError, UndeclaredDependency, UnstorableResult, WarehouseError
from sqlbuild.loaders import AsyncLoaderContext, LoaderContext, loader
from sqlbuild.refs import source
from sqlbuild.tasks import task
from sqlbuild.testing import arun_node

ROWS = [{"n": 1}, {"n": 2}]


@loader
def returns_a_list(ctx: LoaderContext):
    return ROWS


@loader
def returns_a_generator(ctx):
    return (row for row in ROWS)


@loader
def yields_rows(ctx: LoaderContext):
    yield from ROWS


@loader
def yields_lists_and_arrow(ctx):
    yield ROWS[:1]
    yield pyarrow.table({"n": [2]})


@loader
def returns_arrow():
    return pyarrow.table({"n": [1, 2]})


@loader
async def returns_a_list_later(ctx: AsyncLoaderContext):
    await anyio.sleep(0)
    return ROWS


@loader
async def yields_rows_later(ctx: AsyncLoaderContext):
    for row in ROWS:
        await anyio.sleep(0)
        yield row


@loader
async def yields_batches_later(ctx):
    yield ROWS[:1]
    yield pyarrow.table({"n": [2]}).to_reader()


@loader
async def returns_an_async_generator(ctx: AsyncLoaderContext):
    async def given():
        for row in ROWS:
            yield row

    return given()


@loader
async def returns_a_blocking_generator(ctx: AsyncLoaderContext):
    return (row for row in ROWS)


@pytest.mark.parametrize(
    "function",
    [
        returns_a_list,
        returns_a_generator,
        yields_rows,
        yields_lists_and_arrow,
        returns_arrow,
        returns_a_list_later,
        yields_rows_later,
        yields_batches_later,
        returns_an_async_generator,
        returns_a_blocking_generator,
    ],
)
async def test_rows_come_in_every_form(function):
    run = await arun_node(function)
    assert run.rows == ({"n": 1}, {"n": 2})
    assert (run.payload, run.metadata) == (None, {"rows": 2, "write_strategy": "table"})


async def test_more_rows_than_a_batch_holds_all_arrive_in_their_order():
    @loader
    def many(ctx):
        yield from ({"n": n} for n in range(25_000))

    @loader
    async def many_later(ctx):
        for n in range(25_000):
            yield {"n": n}

    for function in (many, many_later):
        run = await arun_node(function)
        assert [row["n"] for row in run.rows] == list(range(25_000))


async def test_no_rows_are_told_and_are_no_error():
    @loader
    def nothing(ctx):
        return []

    run = await arun_node(nothing)
    assert (run.status, run.metadata) == (Status.SUCCEEDED, {"rows": 0, "write_strategy": "table"})
    assert [(log.level, "there is no table yet" in log.message) for log in run.logs] == [("warning", True)]


async def test_what_is_left_out_is_told():
    @loader
    def half(ctx):
        return [{"a": 1, "b": None}]

    run = await arun_node(half)
    assert run.metadata["left_out_columns"] == ["b"]
    assert "left out" in run.logs[0].message


async def test_a_generator_is_asked_for_more_only_when_its_rows_are_staged():
    pulled: list[int] = []
    seen: list[int] = []

    @loader
    def slow(ctx: LoaderContext):
        for n in range(3_000):
            pulled.append(n)
            if n in (1_000, 2_999):
                seen.append(
                    ctx.query("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%staging%'").scalar()
                )
            yield {"n": n}

    await arun_node(slow)
    assert (len(pulled), seen) == (3_000, [1, 1])


async def test_a_sync_generator_runs_on_the_nodes_own_thread():
    threads: set[int] = set()

    @loader
    def here(ctx):
        for n in range(2):
            threads.add(threading.get_ident())
            yield {"n": n}

    await arun_node(here)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_result_beside_the_rows_is_kept():
    @loader
    def with_result(ctx: LoaderContext):
        yield {"n": 1}
        return ctx.result({"next_page": 7}, metadata={"source": "api"})

    @loader
    async def with_result_later(ctx: AsyncLoaderContext):
        yield {"n": 1}
        yield ctx.result({"next_page": 7}, metadata={"source": "api"})

    for function in (with_result, with_result_later):
        run = await arun_node(function)
        assert (run.payload, run.metadata) == ({"next_page": 7}, {"source": "api"})
        assert run.rows == ({"n": 1},)


async def test_a_loader_may_skip_itself_and_then_loads_nothing():
    @loader
    def skips(ctx: LoaderContext):
        yield {"n": 1}
        return ctx.skip("nothing new", mode="hard")

    @loader
    async def skips_later(ctx: AsyncLoaderContext):
        yield {"n": 1}
        yield ctx.skip("nothing new", mode="hard")

    @loader
    def skips_at_once(ctx: LoaderContext):
        return ctx.skip("nothing new", mode="hard")

    for function in (skips, skips_later, skips_at_once):
        run = await arun_node(function)
        assert (run.status, run.skip_reason, run.skip_mode) == (Status.SKIPPED, "nothing new", SkipMode.HARD)
        assert not run.rows


async def test_a_loader_can_fill_its_table_itself():
    @loader
    def itself(ctx: LoaderContext):
        ctx.execute_sql(f"CREATE TABLE {ctx.destination} AS SELECT 7 AS n")

    @loader
    async def itself_later(ctx: AsyncLoaderContext):
        await ctx.execute_sql(f"CREATE TABLE {ctx.destination} AS SELECT 7 AS n")

    for function in (itself, itself_later):
        assert (await arun_node(function)).rows == ({"n": 7},)


def _forgot():
    @loader
    def forgets(ctx):
        list(ROWS)

    return forgets


def _forgot_with_a_strategy():
    @loader(write_strategy="append")
    def forgets(ctx):
        list(ROWS)

    return forgets


def _one_dict():
    @loader
    def one(ctx):
        return {"n": 1}

    return one


def _number():
    @loader
    async def number(ctx):
        return 5

    return number


def _text():
    @loader
    def text(ctx):
        return "rows.csv"

    return text


def _returned_by_generator():
    @loader
    def lost(ctx):
        yield {"n": 1}
        return ROWS

    return lost


def _async_in_sync():
    @loader
    def wrong(ctx):
        async def rows():
            yield {"n": 1}

        return rows()

    return wrong


@pytest.mark.parametrize(
    ("make", "message", "help"),
    [
        (
            _forgot,
            "forgets returned None, so it fills its table itself, but there is no such table",
            "return or yield rows",
        ),
        (_forgot_with_a_strategy, "forgets returned None, but its write_strategy append needs rows", "or [] for none"),
        (_one_dict, "one returned one dict", "return a list of dicts"),
        (_number, "number returned an object of type int, which holds no rows", "return an iterable of dicts"),
        (_text, "text returned an object of type str, which holds no rows", "return an iterable of dicts"),
        (
            _returned_by_generator,
            "a loader with `yield` in it returned an object of type list, which Python drops",
            "yield",
        ),
        (_async_in_sync, "wrong is a `def` and returned something to be gone through with `async for`", "`async def`"),
    ],
)
async def test_what_no_loader_returns_is_told_with_what_to_do(make, message, help):
    run = await arun_node(make(), raises=False)
    assert isinstance(run.error, NodeError)
    assert run.error.args[0] == message
    assert help in run.error.help


async def test_what_was_forgotten_fails_the_loader_before_anything_is_in_the_table():
    @loader
    async def forgets_await(ctx: AsyncLoaderContext):
        ctx.execute_sql("SELECT 1")
        yield {"n": 1}

    @loader
    def unstorable(ctx: LoaderContext):
        yield {"n": 1}
        return ctx.result({1, 2})

    for function, error in ((forgets_await, MissingAwait), (unstorable, UnstorableResult)):
        run = await arun_node(function, raises=False)
        assert isinstance(run.error, error)
        assert not run.rows


async def test_a_loader_that_raises_has_its_finally_run_and_loads_nothing():
    ended: list[str] = []

    @loader
    def raises(ctx):
        try:
            yield from ({"n": n} for n in range(2_000))
            raise OSError("gone")
        finally:
            ended.append("def")

    @loader
    async def raises_later(ctx):
        try:
            for n in range(2_000):
                yield {"n": n}
            raise OSError("gone")
        finally:
            await anyio.sleep(0)
            ended.append("async def")

    for function in (raises, raises_later):
        run = await arun_node(function, raises=False)
        assert (str(run.error), run.rows) == ("gone", None)
    assert ended == ["def", "async def"]


async def test_a_generator_whose_row_is_refused_is_closed_at_once():
    ended: list[str] = []

    @loader
    def refused(ctx):
        try:
            yield {"n": 1}
            yield 5
        finally:
            ended.append("def")

    @loader
    async def refused_later(ctx):
        try:
            yield {"n": 1}
            yield 5
        finally:
            await anyio.sleep(0)
            ended.append("async def")

    for function in (refused, refused_later):
        run = await arun_node(function, raises=False)
        assert "row 2 is of type int" in str(run.error)
    assert ended == ["def", "async def"]


async def test_a_time_limit_ends_an_async_loader_and_nothing_is_loaded():
    ended: list[str] = []

    @loader(timeout=0.2)
    async def endless(ctx):
        try:
            while True:
                yield {"n": 1}
                await anyio.sleep(0.01)
        finally:
            ended.append("closed")

    run = await arun_node(endless, raises=False)
    assert (run.status, run.rows, ended) == (Status.TIMED_OUT, None, ["closed"])


# -- what a loader reads ----------------------------------------------------------------------------------------------


@loader
def stage(ctx):
    return [{"id": 1}]


@task
def token(ctx):
    return "secret"


async def test_sources_upstream_are_read_by_name():
    @loader(depends_on=(source("orders"), token))
    def sync(ctx: LoaderContext):
        orders = ctx.source("orders")
        assert ctx.result_of(token).payload == "secret"
        return [{"highest": orders.max("id"), "cursor": str(orders.current_cursor_value), "table": orders.destination}]

    @loader(depends_on=source("orders"))
    async def later(ctx: AsyncLoaderContext):
        orders = ctx.source("orders")
        return [
            {"highest": await orders.max("id"), "cursor": str(await orders.current_cursor_value), "table": str(orders)}
        ]

    given = {source("orders"): [{"id": 4}, {"id": 9}]}
    first = await arun_node(sync, relations=given, results={token: "secret"})
    second = await arun_node(later, relations=given)
    assert first.rows == second.rows
    assert (first.rows[0]["highest"], first.rows[0]["cursor"]) == (9, "None")
    assert first.rows[0]["table"].endswith('"orders"')


async def test_what_is_read_must_be_declared():
    @loader
    def undeclared_source(ctx: LoaderContext):
        return [{"n": ctx.source("orders").max("n")}]

    @loader
    def undeclared_loader(ctx: LoaderContext):
        return [{"n": ctx.loader(stage).max("n")}]

    @loader
    def no_loader(ctx: LoaderContext):
        return [{"n": ctx.loader(token).max("n")}]

    for function, message, help in (
        (undeclared_source, "undeclared_source reads the source orders", 'add source("orders") to its depends_on'),
        (undeclared_loader, "undeclared_loader reads the loader stage", "add stage to its depends_on"),
        (no_loader, "token is not a loader", "use ctx.source(name)"),
    ):
        run = await arun_node(function, raises=False)
        assert isinstance(run.error, UndeclaredDependency)
        assert message in run.error.args[0]
        assert help in run.error.help


@pytest.mark.parametrize("call", [lambda ctx: ctx.loader("stage"), lambda ctx: ctx.source(stage)])
async def test_loaders_are_named_by_function_and_sources_by_name(call):
    @loader(depends_on=stage)
    def wrong(ctx: LoaderContext):
        return [{"n": call(ctx)}]

    run = await arun_node(wrong, raises=False)
    assert isinstance(run.error, TypeError)


async def test_reload_is_told():
    @loader
    def told(ctx: LoaderContext):
        return [{"reload": ctx.is_reload, "cursor": str(ctx.current_cursor_value)}]

    assert (await arun_node(told, reload=True)).rows == ({"reload": True, "cursor": "None"},)


async def test_errors_of_the_warehouse_are_the_loaders():
    @loader
    def conflicting(ctx):
        yield [{"v": 1}]
        yield pyarrow.table({"v": ["x"]})

    run = await arun_node(conflicting, raises=False)
    assert isinstance(run.error, WarehouseError)
    assert "column v: earlier rows of this load are BIGINT, later ones VARCHAR" in str(run.error)
