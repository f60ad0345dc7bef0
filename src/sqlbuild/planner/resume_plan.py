"""What is left of a run that did not succeed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId, NodeKind, name_of
from sqlbuild.domain.incremental import NO_REFRESH, Refresh
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Plan, Reason
from sqlbuild.domain.results import SUCCESSES, Status
from sqlbuild.domain.selection import Selected
from sqlbuild.planner.build_plan import build_plan, upstreams_of

_WHY: Mapping[Status, str] = {
    Status.FAILED: "failed",
    Status.TIMED_OUT: "timed out",
    Status.UNKNOWN: "began and was not seen to end",
    Status.CANCELLED: "was cancelled",
    Status.BLOCKED: "was blocked",
    Status.SKIPPED: "was skipped",
    Status.NOT_STARTED: "did not start",
}


def resume_plan(
    graph: Graph,
    past: Past,
    *,
    target: str,
    planned: Iterable[NodeId],
    ended: Mapping[NodeId, Status],
    began_with: Mapping[NodeId, str],
    turns: Mapping[NodeId, int],
    refresh: Refresh = NO_REFRESH,
) -> Plan:
    """The steps of a run that must run again: those without a success, those whose fingerprint has changed since they
    ran or whose relation is gone, and whatever depends on one of them or has not run since one of them did; nothing else.

    `planned` are the nodes of the run, `ended` how those ended that did. Of those that have begun, `began_with` has the
    fingerprint that they had then, and `turns` tells the order: what began later has the larger number.
    """
    known = {node for node in planned if node in graph.nodes and graph.nodes[node].kind is not NodeKind.SOURCE}
    again: dict[NodeId, str] = {}
    for node, upstreams in upstreams_of(graph, known).items():
        status = ended.get(node)
        above = next((upstream for upstream in upstreams if upstream in again), None)
        turn = turns.get(node, 0)
        # A resumed run may have been lost between the two.
        since = next((upstream for upstream in upstreams if turns.get(upstream, 0) > turn), None)
        if status not in SUCCESSES:
            again[node] = _WHY.get(status, "did not start") if status is not None else "did not start"
        elif began_with.get(node) != graph.nodes[node].fingerprint.total:
            again[node] = "changed since it succeeded"
        elif graph.nodes[node].relation is not None and past.lacks(graph.nodes[node]):
            again[node] = "its relation is missing now"
        elif above is not None:
            again[node] = f"depends on {name_of(above)}, which runs again"
        elif since is not None:
            again[node] = f"depends on {name_of(since)}, which ran again since"
    selected = Selected(nodes=frozenset(again), required=frozenset(), allow_empty=True)
    left = refresh if any(_is_incremental(graph, node) for node in again) else NO_REFRESH
    plan = build_plan(graph, selected, past, target=target, refresh=left)
    gone = [
        f"{name_of(node)} was part of the run and is not in the project any more"
        for node in planned
        if node not in graph.nodes
    ]
    return dataclasses.replace(
        plan,
        steps={
            node: dataclasses.replace(step, reason=Reason.RESUMED, why=again[node]) for node, step in plan.steps.items()
        },
        warnings=(*gone, *plan.warnings),
        kept=len(known) - len(again),
    )


def _is_incremental(graph: Graph, node: NodeId) -> bool:
    model = graph.nodes[node].declaration
    return isinstance(model, Model) and model.incremental is not None
