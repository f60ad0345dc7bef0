"""What `sqb history --json` prints, as `schemas/history.schema.json` describes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlbuild.artifacts.run_results_json import result_document
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.past_runs import PastRun
from sqlbuild.domain.results import NodeResult
from sqlbuild.domain.utc_text import utc_text

SCHEMA_VERSION = 1


def runs_document(target: str, runs: Iterable[PastRun], *, from_warehouse: bool) -> dict[str, Any]:
    """Past runs of a target, in the order given. Times are ISO 8601 in UTC, durations seconds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "from_warehouse": from_warehouse,
        "runs": [_run(run) for run in runs],
    }


def node_history_document(
    target: str,
    node: NodeId,
    results: Iterable[tuple[NodeResult, str]],
    graph: Graph,
    *,
    at_work: tuple[str, int, float] | None,
    from_warehouse: bool,
) -> dict[str, Any]:
    """Past results of a node, each with why it ran; `at_work`: in which run and attempt it is running, since when."""
    running = None
    if at_work is not None:
        run_id, attempt, since = at_work
        running = {"run_id": run_id, "attempt": attempt, "started_at": _time(since)}
    return {
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "from_warehouse": from_warehouse,
        "node": node,
        "at_work": running,
        "results": [_result(result, why, graph) for result, why in results],
    }


def _run(run: PastRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "ended": run.ending.value,
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "duration": None if run.seconds is None else round(run.seconds, 6),
        "exit_code": run.exit_code,
        "stopped_by": run.stopped_by,
        "counts": {status.value: count for status, count in run.counts.items()},
        "planned": run.planned,
        "at_work": run.at_work,
        "resumed": run.resumed,
        "can_be_resumed": run.can_be_resumed,
        "command": run.command,
        "damage": run.damage,
    }


def _result(result: NodeResult, why: str, graph: Graph) -> dict[str, Any]:
    return {
        "run_id": result.run_id,
        "why": why,
        **result_document(result, graph),
        "exports": None if result.exports is None else json.loads(result.exports),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else f"{utc_text(seconds)}+00:00"
