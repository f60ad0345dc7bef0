from __future__ import annotations

import json

import pytest

from sqlbuild.app.looking import NodeReport
from sqlbuild.app.options import Compiled
from sqlbuild.cli.show_command import _document, _lines
from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.past import PastNode
from sqlbuild.domain.plans import Reason
from sqlbuild.domain.project import CodeFacts, Project
from sqlbuild.domain.results import ErrorFacts, NodeResult, SkipMode, Status
from sqlbuild.domain.settings import Connection, Settings, Target
from sqlbuild.retries import RetryPolicy

TARGET = Target(name="dev", connection=Connection(name="local", adapter="duckdb"), schema="dev")
SETTINGS = Settings(name="shop", target=TARGET, targets={"dev": TARGET})


@pytest.fixture
def compiled(make_graph, make_node):
    export = make_node(
        "asset:orders_export",
        ["model:orders"],
        is_async=True,
        description="Every order.\n\nAs CSV.",
        retry=RetryPolicy(max_attempts=4),
        timeout=30.0,
        pools=("crm",),
        requires="all",
        tags=("daily", "export"),
        group="sales",
        meta={"owner": "me"},
        compiled={
            "columns": (
                Column(name="order_id", type="INTEGER", nullable=False, description="The key"),
                Column(name="note"),
            ),
            "column_lineage": {"order_id": (ColumnReference("model:orders", "order_id"),)},
            "notes": ("columns not checked: PIVOT",),
        },
    )
    graph = make_graph(make_node("model:orders"), export, make_node("task:ping", ["asset:orders_export"]))
    code = {"asset:orders_export": CodeFacts(source_digest="d", not_tracked=("package aiohttp",))}
    project = Project(root="/project", settings=SETTINGS, declarations=(), code=code)
    return Compiled(project=project, graph=graph)


def result(status: str, **facts: object) -> NodeResult:
    values = {"attempt": 1, "duration": 1.25, "finished_at": 1_750_000_000.0, **facts}
    return NodeResult(
        run_id="r1",
        node_id="asset:orders_export",
        kind=NodeKind.ASSET,
        name="orders_export",
        status=Status(status),
        **values,
    )


@pytest.fixture
def report(compiled):
    def make(*results: NodeResult, node: str = "asset:orders_export", past: PastNode | None = None) -> NodeReport:
        return NodeReport(
            node=compiled.graph.nodes[node],
            past=past,
            results=results,
            as_of="r1" if past else None,
            reason=Reason.CODE_CHANGED,
            why="code changed since run r1",
        )

    return make


def test_an_asset_is_shown_with_all_that_is_known(compiled, report):
    past = PastNode(last_status=Status.SUCCEEDED, last_run_id="r1", typical_seconds=1.25)
    newest = result("succeeded", payload='{"rows": 3}', metadata="null", materialized=True, warnings=("slow",))
    assert _lines(report(newest, result("timed_out", attempt=4), past=past), compiled) == [
        "asset:orders_export",
        "  Every order.",
        "  As CSV.",
        "",
        "declared       assets/orders_export.py:1",
        "function       async def",
        "retry          up to 4 attempts",
        "timeout        30.0 s",
        "pools          crm",
        "requires       all",
        "tags           daily, export",
        "group          sales",
        "meta           {'owner': 'me'}",
        "depends on     model:orders",
        "read by        task:ping",
        "would run      code changed since run r1",
        "last status    succeeded in run r1",
        "usually takes  1.25 s",
        "as of          run r1",
        "",
        "columns",
        "  name      type               lineage                     description",
        "  order_id  INTEGER  not null  from model:orders.order_id  The key",
        "  note",
        "",
        "notes",
        "  columns not checked: PIVOT",
        "  not tracked: package aiohttp",
        "",
        "last results",
        "  run  status     attempts    took  finished (UTC)",
        "  r1   succeeded         1  1.25 s  2025-06-15 15:06:40",
        "  r1   timed out         4  1.25 s  2025-06-15 15:06:40",
        "",
        'payload: {"rows": 3}',
        "metadata: null",
        "materialized: yes",
        "warning: slow",
    ]


def test_a_model_without_history_is_short(compiled, report):
    assert _lines(report(node="model:orders"), compiled) == [
        "model:orders",
        "",
        "declared    models/orders.sql:1",
        "built as    view",
        "relation    main.orders",
        "depends on  nothing",
        "read by     asset:orders_export",
        "would run   code changed since run r1",
    ]


@pytest.mark.parametrize(
    ("newest", "told"),
    [
        (result("skipped", skip_reason="no data", skip_mode=SkipMode.HARD), ["skipped (hard): no data"]),
        (result("blocked", because_of=("model:orders",)), ["because of: model:orders"]),
        (
            result("failed", error=ErrorFacts(type="OSError", message="refused", traceback="Traceback\nOSError\n")),
            ["error:", "  Traceback", "  OSError"],
        ),
        (result("failed", error=ErrorFacts(type="OSError", message="gone")), ["error:", "  OSError: gone"]),
    ],
)
def test_the_last_result_says_why(compiled, report, newest, told):
    assert _lines(report(newest), compiled)[-len(told) :] == told


def test_programs_get_the_same_facts(compiled, report):
    document = json.loads(json.dumps(_document(report(result("succeeded", payload="[1]")), compiled)))
    assert document["node"]["id"] == "asset:orders_export"
    assert document["downstream"] == ["task:ping"]
    assert document["not_tracked"] == ["package aiohttp"]
    assert (document["reason"], document["why"]) == ("code changed", "code changed since run r1")
    assert document["results"][0]["payload"] == [1]
