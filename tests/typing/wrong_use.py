"""A user's mistakes, never imported: mypy and pyright must each report every line marked `# wrong`, and no other."""

from __future__ import annotations

from sqlbuild.assets import AssetContext, AsyncAssetContext, asset
from sqlbuild.loaders import AsyncLoaderContext, LoaderContext, loader
from sqlbuild.refs import model
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import TaskContext, task

RetryPolicy(max_attempts="3")  # wrong
model(3)  # wrong


def undecorated(ctx: AssetContext) -> None: ...


asset(nam="typo")(undecorated)  # wrong
asset(depends_on=3)(undecorated)  # wrong
asset(depends_on=["fact_orders"])(undecorated)  # wrong
asset(retry=3)(undecorated)  # wrong
asset(requires="some")(undecorated)  # wrong
asset(tags=[1])(undecorated)  # wrong
asset(columns=[{"nmae": "order_id"}])(undecorated)  # wrong
asset(column_lineage={"order_id": ["fact_orders"]})(undecorated)  # wrong
asset(timeout="30")(undecorated)  # wrong
asset(pool=3)(undecorated)  # wrong
asset(dry_run="yes")(undecorated)  # wrong
asset(undecorated, tag=["a"])  # wrong
asset(3)  # wrong
task(columns=[{"name": "order_id"}])  # wrong


@task
def export(ctx: TaskContext):
    return ctx.result({"rows": 3}, materialized=True)  # wrong


@asset
def wrong_calls(ctx: AssetContext, month: int = 1):
    ctx.relation("fact_orders")  # wrong
    ctx.skip()  # wrong
    ctx.skip("reason", mode="medium")  # wrong
    ctx.result(materialized="yes")  # wrong
    ctx.results("typo")  # wrong
    ctx.query(3)  # wrong
    ctx.export("SELECT 1")  # wrong
    ctx.export(3, "x.csv")  # wrong
    ctx.export("SELECT 1", 3)  # wrong
    ctx.export("SELECT 1", "x.csv", "csv", "n")  # wrong
    ctx.export("SELECT 1", "x.csv", check_columns="yes")  # wrong
    return


@asset
async def forgotten_await(ctx: AsyncAssetContext):
    rows: list[tuple[object, ...]] = ctx.query("SELECT 1").fetchall()  # wrong
    for row in ctx.query("SELECT 1"):  # wrong
        print(row)
    count = ctx.query("SELECT 1").fetchone()[0]  # wrong
    await ctx.query("SELECT 1")  # wrong
    for batch in ctx.query("SELECT 1").batches():  # wrong
        print(batch, count)
    return rows


def calls(ctx: AssetContext) -> None:
    wrong_calls()  # wrong
    wrong_calls(ctx, month="May")  # wrong


def undecorated_loader(ctx: LoaderContext) -> None: ...


loader(write_strategy="replace")(undecorated_loader)  # wrong
loader(contract="strict")(undecorated_loader)  # wrong
loader(unique_key=1)(undecorated_loader)  # wrong
loader(requires="all")(undecorated_loader)  # wrong
loader(column_lineage={})(undecorated_loader)  # wrong


@loader
def wrong_tables(ctx: LoaderContext):
    ctx.source(model("orders"))  # wrong
    ctx.loader("orders")  # wrong
    ctx.source("orders").max()  # wrong
    return []


@loader
async def forgotten_table_await(ctx: AsyncLoaderContext):
    highest: int = ctx.source("orders").max("id")  # wrong
    yield {"id": highest}


@asset
async def wrong_maps(ctx: AsyncAssetContext):
    async def push(number: int) -> int:
        return number

    with ctx.pool("crm_api"):  # wrong
        pass
    ctx.pool(3)  # wrong
    await ctx.map(push, ["a"])  # wrong
    await ctx.map(len, ["a"])  # wrong
    results: list[int] = ctx.map(push, [1])  # wrong
    for _ in ctx.map(push, [1]):  # wrong
        pass
    ctx.checkpoint(3, results)  # wrong
