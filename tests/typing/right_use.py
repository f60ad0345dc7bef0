"""A user's module, checked by mypy and pyright in strict mode and never imported: no line may be an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, assert_type

from sqlbuild.assets import AssetContext, AsyncAssetContext, SkipMode, asset
from sqlbuild.domain.results import UpstreamResult
from sqlbuild.loaders import AsyncLoaderContext, LoaderContext, WriteStrategy, loader
from sqlbuild.refs import Reference, model, seed, source
from sqlbuild.results import ExportResult
from sqlbuild.retries import RetryAfter, RetryPolicy
from sqlbuild.tasks import AsyncTaskContext, TaskContext, task

ORDERS = model("fact_orders")


def uncopied(ctx: AssetContext) -> int:
    return ctx.attempt


assert_type(ORDERS, Reference)


@task
def export_orders(ctx: TaskContext):
    return ctx.result({"rows": 3}, metadata={"path": "orders.csv"})


@task()
async def wait_for_orders(ctx: AsyncTaskContext):
    if ctx.attempt > 2:
        return ctx.skip("nobody answers", mode="hard", metadata={"tries": ctx.attempt})
    ctx.progress(1, total=10, message="waiting")
    ctx.log("waiting", level="warning", seconds=3)
    return None


@task(isolate="process", timeout=60)
def crunches(ctx: TaskContext) -> int:
    return 1


@task(name="plain", depends_on=None, tags=["a"], group="g", description="d", meta={"owner": "me"}, pool="api")
def plain_value(ctx: TaskContext) -> dict[str, int]:
    return {"rows": 1}


@task(depends_on=export_orders, retry=RetryPolicy(3, jitter=False), dry_run=True)
def announces(ctx: TaskContext):
    assert_type(ctx.dry_run, bool)
    assert_type(ctx.results_of(export_orders, limit=3), list[UpstreamResult])
    return None if ctx.dry_run else {"Idempotency-Key": ctx.idempotency_key}


@asset(depends_on=export_orders)
async def announces_too(ctx: AsyncAssetContext):
    assert_type(await ctx.results_of(export_orders), list[UpstreamResult])


@asset
def nothing_declared(ctx: AssetContext):
    return ctx.skip("upstream not ready", SkipMode.SOFT)


@asset(
    name="orders_extract",
    depends_on=[ORDERS, source("raw"), seed("countries"), export_orders, wait_for_orders],
    columns=[
        {"name": "order_id", "type": "INTEGER"},
        {"name": "total", "nullable": False, "description": "cents", "meta": {"pii": False}},
    ],
    column_lineage={"order_id": [{"node": "fact_orders", "column": "order_id"}]},
    retry=RetryPolicy(max_attempts=4, retry_on=(OSError, RetryAfter), max_elapsed_seconds=60),
    pool=("api", "disk"),
    requires="none_failed",
)
def orders_extract(ctx: AssetContext):
    relation = ctx.relation(model("fact_orders"))
    assert_type(relation, str)
    row = ctx.query(f"SELECT count(*) FROM {relation} WHERE total > ?", [3]).fetchone()
    for each in ctx.query("SELECT 1", {"x": 1}):
        print(each[0])
    ctx.execute_sql("CREATE TABLE x (i INTEGER)")
    upstream = ctx.result_of(export_orders)
    assert_type(ctx.run_id, str)
    assert_type(ctx.attempt, int)
    return ctx.result(payload=upstream.payload["rows"], metadata={"row": row}, materialized=True)


@asset(depends_on=orders_extract, timeout=30, requires="all")
async def push_orders(ctx: AsyncAssetContext):
    rows = await ctx.query("SELECT 1, 2").fetchall()
    row = await ctx.query("SELECT 1").fetchone()
    async for each in ctx.query("SELECT 1"):
        print(each[0])
    await ctx.execute_sql("DELETE FROM x WHERE i = ?", [3])
    earlier = ctx.result_of(orders_extract, default=None)
    if earlier is None or row is None:
        return ctx.skip("nothing yet")
    return ctx.result({"rows": len(rows)})


@asset(depends_on=(push_orders,))
def an_annotated_default(ctx: AssetContext, carrier: str = "UA", month: int = 1) -> str:
    return f"{carrier}{month}"


@asset(pool=["api", "disk"], timeout=None)
def reads_in_every_shape(ctx: AssetContext) -> object:
    count = ctx.query("SELECT count(*) FROM t").fetchone()[0] + 1
    assert_type(ctx.query("SELECT 1").fetchall(), list[tuple[Any, ...]])
    assert_type(ctx.query("SELECT 1").fetchmany(10), list[tuple[Any, ...]])
    for batch in ctx.query("SELECT 1").batches(rows=1_000):
        print(batch.num_rows)
    table, frame = ctx.query("SELECT 1").arrow(), ctx.query("SELECT 1").df()
    assert_type(ctx.result_of(orders_extract, default=None), UpstreamResult | None)
    assert_type(ctx.result_of(orders_extract), UpstreamResult)
    return ctx.result({"rows": table.num_rows, "columns": len(frame.columns), "month": ctx.vars["month"], "n": count})


@task
async def awaits_in_every_shape(ctx: AsyncTaskContext) -> None:
    assert_type(await ctx.query("SELECT 1").fetchall(), list[tuple[Any, ...]])
    count = (await ctx.query("SELECT count(*) FROM t").fetchone())[0] + await ctx.query("SELECT 1").scalar()
    async for batch in ctx.query("SELECT 1").batches():
        print(batch.num_rows, count)
    await asyncio.gather(ctx.execute_sql("DELETE FROM x"), ctx.query("SELECT 1").df())


# Made without the @: the function keeps its type too.
made_in_a_loop = [asset(name=f"copy_{number}")(uncopied) for number in range(3)]
also_made: Callable[[AssetContext], int] = asset(uncopied, name="copied", tags=("a",))

# A decorated function keeps its signature and stays callable.
keeps_its_type: Callable[[TaskContext], dict[str, int]] = plain_value


def uses_a_decorated_function(ctx: AssetContext) -> str:
    return an_annotated_default(ctx, "AA", month=2)


async def awaits_a_decorated_function(ctx: AsyncAssetContext) -> None:
    pending: Coroutine[Any, Any, object] = push_orders(ctx)
    await pending


@loader
def raw_orders(ctx: LoaderContext):
    start: str | None = ctx.current_cursor_value
    assert_type(ctx.destination, str)
    yield {"id": 1, "at": start, "reload": ctx.is_reload}


@loader(
    name="raw_lines",
    depends_on=[raw_orders, source("raw")],
    write_strategy="merge",
    unique_key=["order_id", "line"],
    cursor_column="at",
    contract="enforced",
    columns=[{"name": "order_id", "type": "INTEGER", "nullable": False}],
    destination="lake.raw.lines",
    retry=RetryPolicy(max_attempts=2),
    timeout=30,
)
async def loads_lines(ctx: AsyncLoaderContext):
    orders = ctx.loader(raw_orders)
    highest: int | None = await orders.max("id")
    cursor: str | None = await ctx.source("raw").current_cursor_value
    for row in await ctx.query(f"SELECT id FROM {orders.destination}").fetchall():
        yield [{"order_id": row[0], "line": highest, "at": cursor}]


@loader(write_strategy=WriteStrategy.APPEND)
def fills_itself(ctx: LoaderContext) -> None:
    ctx.execute_sql(f"CREATE TABLE {ctx.destination} AS SELECT 1 AS id")


loads: Callable[[LoaderContext], object] = raw_orders


@task(pool="crm_api")
async def many_calls(ctx: AsyncTaskContext) -> int:
    async def push(row: tuple[int, str]) -> float:
        async with ctx.pool("crm_api", "mail"):
            return row[0] / 2

    rows = [(1, "a"), (2, "b")]
    assert_type(await ctx.map(push, rows), list[float])
    assert_type(await ctx.map(push, rows, 8, ("crm_api",), lambda row: row[1]), list[float])
    total = 0.0
    async for half in ctx.map(push, (row for row in rows), limit=8, pool="crm_api"):
        total += assert_type(half, float)
    ctx.checkpoint("page", {"next": 3})
    return len(ctx.checkpoints)


@task
def many_calls_on_threads(ctx: TaskContext) -> list[str]:
    def push(number: int) -> str:
        with ctx.pool("crm_api"):
            return str(number)

    ctx.checkpoint(key="page", value=ctx.checkpoints.get("page", 0) + 1)
    return assert_type(ctx.map(push, range(3), key=lambda number: number), list[str])


@asset(depends_on=model("fact_orders"))
def exports(ctx: AssetContext):
    written = ctx.export(model("fact_orders"), "exports/orders.parquet", cursor="updated_at", check_columns=True)
    assert_type(written, ExportResult)
    columns: Mapping[str, str] = written.columns
    ctx.export("SELECT 1 AS n", Path("exports") / "n", "csv", partition_by=["n"])
    ctx.export(ctx.query("SELECT 1 AS n").batches(), "exports/n.csv")
    return ctx.export(ctx.query("SELECT 1 AS n").arrow(), "s3://bucket/n.arrow").rows + len(columns)


@task(depends_on=model("fact_orders"))
async def exports_too(ctx: AsyncTaskContext) -> str:
    written = await ctx.export(ctx.query("SELECT 1 AS n").batches(1_000), "exports/n.parquet")
    assert_type(written, ExportResult)
    return written.sha256
