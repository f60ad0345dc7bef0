"""A user's mistakes, never imported: mypy and pyright must each report every line marked `# wrong`, and no other."""

from __future__ import annotations

import sqlbuild
from sqlbuild.refs import model
from sqlbuild.results import Status
from sqlbuild.tasks import TaskContext, task
from sqlbuild.testing import VirtualClock, arun_node, run_node


@task
def export_orders(ctx: TaskContext) -> int:
    return ctx.attempt


sqlbuild.bild("shop")  # wrong
sqlbuild.build("shop", selekt="a")  # wrong
sqlbuild.build("shop", "orders_export")  # wrong
sqlbuild.build("shop", threads="4")  # wrong
sqlbuild.build("shop", vars=[("month", 5)])  # wrong
sqlbuild.build("shop", backend="curio")  # wrong
sqlbuild.build("shop", on_event="print")  # wrong
sqlbuild.build("shop")[3]  # wrong
sqlbuild.build("shop").results["asset:x"].status = Status.FAILED  # wrong

run_node("export_orders")  # wrong
run_node(export_orders, results={"export_orders": 1})  # wrong
run_node(export_orders, relations={"fact_orders": []})  # wrong
run_node(export_orders, relations={model("fact_orders"): 3})  # wrong
run_node(export_orders, relations={model("fact_orders"): [(1, 2)]})  # wrong
run_node(export_orders, clock=VirtualClock)  # wrong
print(run_node(export_orders).paylod)  # wrong


async def forgotten_await() -> None:
    result = sqlbuild.abuild("shop")
    print(result.exit_code)  # wrong
    run = arun_node(export_orders)
    print(run.payload)  # wrong
    await sqlbuild.abuild("shop", backend="trio")  # wrong
