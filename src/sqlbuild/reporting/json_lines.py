"""One JSON object per event and line, for programs that follow a run."""

from __future__ import annotations

import datetime
import functools
import json
from typing import Any, TextIO, assert_never

from sqlbuild.domain.events import (
    Event,
    LogLinesDropped,
    NodeFinished,
    NodeLogged,
    NodeProgress,
    NodeRetrying,
    NodeStaged,
    NodeStarted,
    PoolPaused,
    PoolUse,
    RunFinished,
    RunNote,
    RunStarted,
    RunStopping,
    RunWarning,
    WaitingForTarget,
)
from sqlbuild.domain.results import ErrorFacts, NodeResult, RunResult
from sqlbuild.reporting.wording import MESSAGE_LIMIT, one_line

SCHEMA_VERSION = 1
Document = dict[str, Any]


class JsonLines:
    """Writes each event as a line of ASCII JSON, in one write per tick."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._unwritten: list[str] = []
        self._encode = json.JSONEncoder(separators=(",", ":")).encode

    def handle(self, event: Event) -> None:
        self._unwritten.append(self._encode(event_document(event)))
        if isinstance(event, RunStarted | RunFinished):
            self.tick()

    def tick(self) -> None:
        if self._unwritten:
            text = "\n".join([*self._unwritten, ""])
            self._unwritten.clear()
            self._stream.write(text)
            self._stream.flush()

    def close(self) -> None:
        self.tick()


def event_document(event: Event) -> Document:
    """`{"schema_version": 1, "event": name, "at": ISO 8601 in UTC, ...}`; durations are seconds."""
    match event:
        case NodeFinished(at=at, result=result):
            return _document("node_finished", at, _node_result(result))
        case NodeStarted(at=at, node=node, kind=kind, name=name, attempt=attempt):
            return _document("node_started", at, {"node": node, "kind": kind, "name": name, "attempt": attempt})
        case NodeProgress(at=at):
            return _document("node_progress", at, _progress(event))
        case NodeLogged():
            return _document("node_logged", event.at, _logged(event))
        case LogLinesDropped(at=at, counts=counts):
            return _document("log_lines_dropped", at, {"counts": dict(counts)})
        case NodeStaged() | NodeRetrying():
            return _waiting(event)
        case PoolPaused(at=at, pool=pool, seconds=seconds, node=node):
            return _document("pool_paused", at, {"pool": pool, "seconds": seconds, "node": node})
        case PoolUse(at=at, used=used, waiting=waiting):
            return _document("pool_use", at, {"used_by_blocks": dict(used), "waiting_blocks": dict(waiting)})
        case WaitingForTarget(at=at, holder=holder, waited=waited, timeout=timeout):
            return _document("waiting_for_target", at, {"holder": holder, "waited": waited, "timeout": timeout})
        case RunNote(at=at, message=message) | RunWarning(at=at, message=message):
            return _document("run_note" if isinstance(event, RunNote) else "run_warning", at, {"message": message})
        case RunStarted():
            return _document("run_started", event.at, _run_started(event))
        case RunStopping(at=at, cause=cause, grace=grace):
            return _document("run_stopping", at, {"cause": cause, "grace": grace})
        case RunFinished(at=at, result=run):
            return _document("run_finished", at, _run_result(run))
        case _:
            assert_never(event)


def _waiting(event: NodeStaged | NodeRetrying) -> Document:
    facts: Document = {"node": event.node, "attempt": event.attempt}
    if isinstance(event, NodeStaged):
        return _document("node_staged", event.at, {**facts, "gates": list(event.gates)})
    return _document("node_retrying", event.at, {**facts, "delay": event.delay, "error": _error(event.error)})


def _document(name: str, at: float, facts: Document) -> Document:
    return {"schema_version": SCHEMA_VERSION, "event": name, "at": _iso(at), **facts}


def _iso(at: float | None) -> str | None:
    if at is None:
        return None
    second = int(at)
    return f"{_second_text(second)}.{int((at - second) * 1_000_000):06d}+00:00"


@functools.lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _run_started(event: RunStarted) -> Document:
    return {
        "run_id": event.run_id,
        "target": event.target,
        "dry_run": event.dry_run,
        "total": len(event.plan.steps),
        "lanes": dict(event.lanes),
        "nodes": list(event.plan.steps),
        "warnings": list(event.plan.warnings),
    }


def _node_result(result: NodeResult) -> Document:
    return {
        "run_id": result.run_id,
        "node": result.node_id,
        "kind": result.kind,
        "name": result.name,
        "status": result.status,
        "attempt": result.attempt,
        "materialized": result.materialized,
        "payload": None if result.payload is None else json.loads(result.payload),
        "metadata": None if result.metadata is None else json.loads(result.metadata),
        "error": None if result.error is None else _error(result.error),
        "retried": [_error(error) for error in result.retried],
        "skip_reason": result.skip_reason,
        "skip_mode": result.skip_mode,
        "because_of": list(result.because_of),
        "started_at": _iso(result.started_at),
        "finished_at": _iso(result.finished_at),
        "duration": result.duration,
        "waited": result.waited,
        "warnings": list(result.warnings),
        "log": result.log,
    }


def _error(error: ErrorFacts) -> Document:
    return {
        "type": error.type,
        "message": error.message,
        "traceback": error.traceback,
        "path": error.path,
        "line": error.line,
        "help": error.help,
    }


def _logged(event: NodeLogged) -> Document:
    return {
        "node": event.node,
        "attempt": event.attempt,
        "level": event.level,
        "message": event.message,
        "fields": {str(name): _plain(value) for name, value in event.fields.items()},
    }


def _progress(event: NodeProgress) -> Document:
    return {"node": event.node, "done": _plain(event.done), "total": _plain(event.total), "message": event.message}


def _plain(value: object) -> object:
    """A value that JSON can hold: authors may log anything."""
    if value is None or isinstance(value, str | int):
        return value
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return one_line(str(value), MESSAGE_LIMIT)
    return value


def _run_result(run: RunResult) -> Document:
    return {
        "run_id": run.run_id,
        "target": run.target,
        "dry_run": run.dry_run,
        "exit_code": run.exit_code,
        "stopped_by": run.stopped_by,
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
        "duration": run.finished_at - run.started_at,
        "counts": dict(run.counts()),
        "critical_path": list(run.critical_path),
        "warnings": list(run.warnings),
    }
