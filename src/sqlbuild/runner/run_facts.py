"""What can be said of a run as a whole; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlbuild.domain.events import RunStarted
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import FAILURES, NodeResult, RunResult
from sqlbuild.runner.capacity import pool_key
from sqlbuild.runner.run_order import RunOrder

SIGNAL_EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
CANCELLATION = "cancellation"
"""What stops a run whose caller is cancelled, as with Ctrl-C."""


def run_started(plan: Plan, order: RunOrder, at: float) -> RunStarted:
    return RunStarted(
        at=at,
        run_id=order.run_id,
        target=plan.target,
        plan=plan,
        lanes={**order.limits, **{pool_key(name): slots for name, slots in order.pools.items()}},
        dry_run=order.dry_run,
    )


def exit_code_of(results: Iterable[NodeResult], stopped_by: str | None, code_left_running: bool) -> int:
    """A signal's code wins over 5 (code was left running), 5 over 1 (something failed)."""
    if stopped_by in SIGNAL_EXIT_CODES:
        return SIGNAL_EXIT_CODES[stopped_by]
    if stopped_by == CANCELLATION:
        return SIGNAL_EXIT_CODES["SIGINT"]
    if code_left_running:
        return 5
    return 1 if any(result.status in FAILURES for result in results) else 0


def critical_path(plan: Plan, results: Mapping[NodeId, NodeResult]) -> tuple[NodeId, ...]:
    """The chain of nodes that decided when the run ended: from the last to end, back over the last of its upstreams."""

    def has_run(node: NodeId) -> bool:
        return node in results and results[node].started_at is not None

    def ended_at(node: NodeId) -> float:
        return results[node].finished_at or 0.0

    last = max(filter(has_run, results), key=ended_at, default=None)
    if last is None:
        return ()
    path = [last]
    while upstream := list(filter(has_run, plan.steps[path[-1]].upstream)):
        path.append(max(upstream, key=ended_at))
    return tuple(reversed(path))


def run_result(
    plan: Plan,
    results: Mapping[NodeId, NodeResult],
    *,
    run_id: str,
    started_at: float,
    finished_at: float,
    stopped_by: str | None,
    records: Mapping[NodeId, str],
    left_running: tuple[NodeId, ...],
    dry_run: bool,
) -> RunResult:
    """A run of which every node has ended; its results stand in the order of the plan."""
    # A table that is made in its size, not one that grows: that needs half as much again.
    ordered: dict[NodeId, Any] = dict.fromkeys(plan.steps)
    for node in plan.steps:
        ordered[node] = results[node]
    return RunResult(
        run_id=run_id,
        target=plan.target,
        started_at=started_at,
        finished_at=finished_at,
        results=ordered,
        exit_code=exit_code_of(results.values(), stopped_by, bool(left_running)),
        stopped_by=stopped_by,
        critical_path=critical_path(plan, results),
        records=records,
        left_running=left_running,
        dry_run=dry_run,
    )
