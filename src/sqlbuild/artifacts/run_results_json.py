"""The result of a run, for whatever comes after it in a pipeline of commands."""

from __future__ import annotations

import json
from typing import Any

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.results import ErrorFacts, NodeResult, RunResult
from sqlbuild.domain.utc_text import utc_text

SCHEMA_VERSION = 1


def run_results_document(result: RunResult, graph: Graph) -> dict[str, Any]:
    """The run as `schemas/run_results.schema.json` describes it, results in the order of `result.results`.

    Times are ISO 8601 in UTC, durations seconds.
    """
    document = streamed_run_results(result, graph)
    return {**document, "results": list(document["results"])}


def streamed_run_results(result: RunResult, graph: Graph) -> dict[str, Any]:
    """The same with an iterator of the results, each made when it is asked for."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": result.run_id,
        "target": result.target,
        "started_at": _time(result.started_at),
        "finished_at": _time(result.finished_at),
        "duration": round(result.finished_at - result.started_at, 6),
        "exit_code": result.exit_code,
        "stopped_by": result.stopped_by,
        "dry_run": result.dry_run,
        "counts": {status.value: count for status, count in result.counts().items()},
        "critical_path": list(result.critical_path),
        "warnings": list(result.warnings),
        "results": (result_document(node_result, graph) for node_result in result.results.values()),
    }


def result_document(result: NodeResult, graph: Graph) -> dict[str, Any]:
    """One result as it stands in the document of its run."""
    node = graph.nodes.get(result.node_id)
    place = None if node is None else node.place
    return {
        "id": result.node_id,
        "kind": result.kind,
        "name": result.name,
        "path": None if place is None else place.path,
        "line": None if place is None else place.line,
        "status": result.status,
        "attempt": result.attempt,
        "materialized": result.materialized,
        "payload": None if result.payload is None else json.loads(result.payload),
        "metadata": None if result.metadata is None else json.loads(result.metadata),
        "error": None if result.error is None else _error(result.error),
        "retried": [_error(error) for error in result.retried] if result.retried else [],
        "skip_reason": result.skip_reason,
        "skip_mode": result.skip_mode,
        "because_of": list(result.because_of),
        "started_at": _time(result.started_at),
        "finished_at": _time(result.finished_at),
        "duration": round(result.duration, 6),
        "waited": round(result.waited, 6),
        "fingerprint": result.fingerprint,
        "warnings": list(result.warnings),
        "log": result.log,
    }


def _error(error: ErrorFacts) -> dict[str, Any]:
    return {
        "type": error.type,
        "message": error.message,
        "traceback": error.traceback,
        "path": error.path or None,
        "line": error.line,
        "help": error.help,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else f"{utc_text(seconds)}+00:00"
