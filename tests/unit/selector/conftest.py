"""One readable project for the tests of selectors."""

from __future__ import annotations

import pytest

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import Status


@pytest.fixture(scope="session")
def shop(make_graph, make_node) -> Graph:
    """Orders and payments, from two sources to a dashboard."""
    marts = {"tags": ("marts",), "group": "finance"}
    return make_graph(
        make_node("source:raw_orders", path="sources/raw.yml", tags=("external",)),
        make_node("source:raw_payments", path="sources/raw.yml"),
        make_node("model:stg_orders", ["source:raw_orders"], path="models/staging/stg_orders.sql", tags=("staging",)),
        make_node(
            "model:stg_payments",
            ["source:raw_payments"],
            path="models/staging/stg_payments.sql",
            tags=("staging", "pii"),
        ),
        make_node(
            "model:fact_orders",
            ["model:stg_orders", "model:stg_payments"],
            path="models/marts/fact_orders.sql",
            **marts,
        ),
        make_node("model:daily_revenue", ["model:fact_orders"], path="models/marts/daily_revenue.sql", **marts),
        make_node("task:notify", ["model:fact_orders"], tags=("daily",)),
        make_node("asset:export_orders", ["model:fact_orders"], path="assets/exports.py", tags=("daily",)),
        make_node("asset:export_payments", ["model:stg_payments"], path="assets/exports.py"),
        make_node("asset:dashboard", ["asset:export_orders", "asset:export_payments"], group="reports"),
    )


@pytest.fixture(scope="session")
def shop_past(shop, make_fingerprint) -> Past:
    """fact_orders changed since, export_orders failed last, notify was skipped, dashboard never succeeded."""

    def succeeded(id: str, **values: object) -> PastNode:
        standard = {
            "last_status": Status.SUCCEEDED,
            "last_run_id": "R2",
            "last_success_run_id": "R2",
            "last_success_fingerprint": shop.nodes[id].fingerprint.stored(),
        }
        return PastNode(**{**standard, **values})

    nodes = {id: succeeded(id) for id, node in shop.nodes.items() if node.kind != "source"}
    changed = make_fingerprint(code="c1").stored()
    nodes["model:fact_orders"] = succeeded("model:fact_orders", last_success_fingerprint=changed)
    nodes["asset:export_orders"] = succeeded("asset:export_orders", last_status=Status.TIMED_OUT)
    nodes["task:notify"] = succeeded("task:notify", last_status=Status.SKIPPED)
    nodes["asset:dashboard"] = PastNode(last_status=Status.BLOCKED, last_run_id="R2")
    relations = frozenset(node.relation for node in shop.nodes.values() if node.relation is not None)
    return Past(nodes=nodes, relations=relations, last_run_id="R2")
