"""How nodes and runs end."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from sqlbuild.domain.ids import NodeId, NodeKind


class Status(enum.StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    NOT_STARTED = "not_started"
    UNKNOWN = "unknown"
    WARNED = "warned"
    """A check of severity warn that did not pass; counts as success."""


SUCCESSES = frozenset({Status.SUCCEEDED, Status.WARNED})
FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT, Status.UNKNOWN})


class SkipMode(enum.StrEnum):
    """`SOFT` lets what depends on the node run by its `requires` rule; `HARD` blocks it."""

    SOFT = "soft"
    HARD = "hard"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeValue:
    """What `ctx.result(...)` returns: hand it back from the function."""

    payload: object = None
    metadata: object = None
    materialized: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """What `ctx.skip(...)` returns: hand it back from the function."""

    reason: str
    mode: SkipMode = SkipMode.SOFT
    metadata: object = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamResult:
    """What `ctx.result_of(...)` gives: an upstream's stored result. `ts` is its end as an aware UTC datetime."""

    payload: Any
    metadata: Any
    status: str
    ts: Any
    run_id: str
    materialized: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """An exception as it is reported and stored; `traceback` starts at the author's first frame."""

    type: str
    message: str
    traceback: str = ""
    path: str = ""
    line: int | None = None
    help: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """The one terminal result of a node in a run. Times are seconds since the epoch, UTC; durations are seconds."""

    run_id: str
    node_id: NodeId
    kind: NodeKind
    name: str
    status: Status
    attempt: int = 0
    """How many attempts were started; 0 for a node that never ran."""
    materialized: bool | None = None
    payload: str | None = None
    """Compact JSON text, or None if the node returned nothing."""
    metadata: str | None = None
    error: ErrorFacts | None = None
    retried: tuple[ErrorFacts, ...] = ()
    """What each attempt before the last failed with."""
    skip_reason: str | None = None
    skip_mode: SkipMode | None = None
    because_of: tuple[NodeId, ...] = ()
    """Blocked: the first cause. Skipped by rule: the skipped upstreams."""
    started_at: float | None = None
    finished_at: float | None = None
    duration: float = 0.0
    """Of the last attempt."""
    waited: float = 0.0
    """Seconds between being ready and the first start."""
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A whole run. `exit_code` is what `sqb build` exits with."""

    run_id: str
    target: str
    started_at: float
    finished_at: float
    results: Mapping[NodeId, NodeResult]
    exit_code: int
    stopped_by: str | None = None
    """`SIGINT`, `SIGTERM`, `SIGHUP`, `fail-fast` or None."""
    critical_path: tuple[NodeId, ...] = ()
    warnings: tuple[str, ...] = ()
    left_running: tuple[NodeId, ...] = ()
    """Nodes whose threads still ran when the run ended; the process must not wait for them."""

    def counts(self) -> dict[Status, int]:
        counts: dict[Status, int] = {}
        for result in self.results.values():
            counts[result.status] = counts.get(result.status, 0) + 1
        return counts
