"""A user's scripts and tests, checked by mypy and pyright in strict mode and never imported: no line may be an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, assert_type

import polars

import sqlbuild
from sqlbuild.assets import AssetContext, asset
from sqlbuild.checks import CheckContext, check
from sqlbuild.errors import RunFailed, SqlbuildError
from sqlbuild.events import Event, NodeFinished
from sqlbuild.loaders import LoaderContext, loader
from sqlbuild.pytest_plugin import sqb_project
from sqlbuild.refs import model, source
from sqlbuild.results import NodeKind, NodeOutcome, RunResult, Status
from sqlbuild.tasks import AsyncTaskContext, task
from sqlbuild.testing import NodeRun, Pool, Result, Verdict, VirtualClock, arun_node, run_node
from sqlbuild.testing.project_folder import ProjectFolder


@task
async def export_orders(ctx: AsyncTaskContext):
    return ctx.result({"rows": 3})


@asset(depends_on=(export_orders, model("fact_orders")))
def report(ctx: AssetContext):
    return ctx.result_of(export_orders).payload


@check(depends_on=model("orders"))
def enough(ctx: CheckContext):
    return ctx.pass_("enough")


@loader
def raw_orders(ctx: LoaderContext):
    yield {"order_id": 1}


def on_event(event: Event) -> None:
    if isinstance(event, NodeFinished):
        print(event.result.name, event.result.status)


def script() -> int:
    result = sqlbuild.build(
        Path("shop"),
        select="+orders_export tag:daily",
        exclude=["weather_*"],
        target="prod",
        vars={"month": 5},
        threads=4,
        fail_fast=True,
        no_audits=True,
        load=False,
        dry_run=True,
        strict_async=True,
        backend="trio",
        on_event=on_event,
        output=sys.stdout,
    )
    assert_type(result, RunResult)
    assert_type(result["orders_export"], NodeOutcome)
    assert_type(result["orders_export"].payload, Any)
    assert_type(result.raise_for_failures(), RunResult)
    assert_type(result.counts(), dict[Status, int])
    for node in result:
        if node.kind is NodeKind.ASSET and node.started_at is not None:
            print(node.started_at.isoformat(), node.error.message if node.error else "")
    return result.exit_code


async def notebook() -> RunResult:
    try:
        return await sqlbuild.abuild("shop", select=("a", "b"), lock_timeout=0, grace=1.5)
    except (RunFailed, SqlbuildError):
        return (await sqlbuild.abuild()).raise_for_failures()


def test_report() -> None:
    clock = VirtualClock()
    run = run_node(
        report,
        results={export_orders: {"rows": 3}, report: Result(payload=1, metadata={"path": "x"})},
        relations={
            model("fact_orders"): [{"order_id": 1, "total": 1.5}],
            source("raw"): "SELECT 1 AS order_id",
            source("frame"): polars.DataFrame({"order_id": [1]}),
        },
        vars={"month": 5},
        pools={"crm": 3, "mail": Pool(name="mail", slots=1, rate=50)},
        retry=True,
        clock=clock,
        raises=False,
        backend="trio",
    )
    assert_type(run, NodeRun)
    assert_type(run.statements, tuple[str, ...])
    assert [said.message for said in run.logs] == []
    clock.advance(3)
    assert clock.monotonic() == 3


def test_checks_and_loaders() -> None:
    run = run_node(
        enough, relations={model("orders"): "SELECT 1"}, providers={"crm": object()}, checkpoints={"page": 3}
    )
    assert run.verdict is Verdict.PASS
    assert run.message == "enough"
    assert_type(run.checkpoints["page"], Any)
    assert_type(run_node(raw_orders, reload=True).rows, tuple[dict[str, Any], ...] | None)


async def test_export() -> None:
    assert (await arun_node(export_orders)).payload == {"rows": 3}


def test_project(project: ProjectFolder) -> None:
    built = project.build("--json")
    assert_type(built.exit_code, int)
    assert built.json["counts"] == {"succeeded": 2}
    rows = project.query("SELECT 1")
    assert rows[0][0] == 1


__all__ = ["sqb_project"]
