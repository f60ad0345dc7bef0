"""How nodes and runs end."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import operator
from collections.abc import Iterator, Mapping
from typing import Any

from sqlbuild.domain.html_table import Cell, Folded, html_table
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.record import record
from sqlbuild.errors import RunFailed


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
    """A check that did not pass and whose severity or verdict is `warn`; counts as success."""
    WOULD_RUN = "would_run"
    """In a dry run: it was not called. `skip_reason` tells why it would run. Never stored."""


SUCCESSES = frozenset({Status.SUCCEEDED, Status.WARNED})
FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT, Status.UNKNOWN})


class SkipMode(enum.StrEnum):
    """`SOFT` lets what depends on the node run by its `requires` rule; `HARD` blocks it."""

    SOFT = "soft"
    HARD = "hard"


@record(frozen=True, slots=True, kw_only=True)
class NodeValue:
    """What `ctx.result(...)` returns: hand it back from the function."""

    payload: object = None
    metadata: object = None
    materialized: bool | None = None


@record(frozen=True, slots=True, kw_only=True)
class Skip:
    """What `ctx.skip(...)` returns: hand it back from the function."""

    reason: str
    mode: SkipMode = SkipMode.SOFT
    metadata: object = None


class Verdict(enum.StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    """Fails the run, unless the check's severity is `warn`."""
    WARN = "warn"


@record(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What `ctx.pass_(...)`, `ctx.fail(...)` and `ctx.warn(...)` return: hand it back from the function."""

    verdict: Verdict
    message: str | None = None
    metadata: object = None


@record(frozen=True, slots=True, kw_only=True)
class UpstreamResult:
    """What `ctx.result_of(...)` gives: an upstream's stored result. `ts` is its end as an aware UTC datetime."""

    payload: Any
    metadata: Any
    status: str
    ts: Any
    run_id: str
    materialized: bool | None = None


@record(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """An exception as it is reported and stored; `traceback` starts at the author's first frame."""

    type: str
    message: str
    traceback: str = ""
    path: str = ""
    line: int | None = None
    help: str = ""


# Not frozen, though nobody changes one once it is made: with this many fields that would make each of them three times as
# expensive. The first fields can be given by position, as names cost as much again.
@record(slots=True)
class NodeResult:
    """The one terminal result of a node in a run. Times are seconds since the epoch, UTC; durations are seconds."""

    run_id: str
    node_id: NodeId
    kind: NodeKind
    name: str
    status: Status
    attempt: int = 0
    """How many attempts were started; 0 for a node that never ran."""
    _: dataclasses.KW_ONLY
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
    exports: str | None = None
    """What it has exported, as JSON text: `files`, and the `cursors` that its next exports go on from."""
    log: str | None = None
    """Of a Python node that failed or is unknown: its last attempt's log, relative to the project's root. It is a file
    of target/, not stored with the result."""


@record(frozen=True, slots=True, kw_only=True)
class NodeOutcome:
    """How a node ended, for people and their programs: JSON is decoded, times are aware UTC datetimes.

    `payload` and `metadata` are what the node returned, as it was stored; durations are seconds.
    """

    id: NodeId
    kind: NodeKind
    name: str
    status: Status
    payload: Any
    metadata: Any
    materialized: bool | None
    attempts: int
    """How many were started; 0 for a node that never ran."""
    error: ErrorFacts | None
    retried: tuple[ErrorFacts, ...]
    """What each attempt before the last failed with."""
    skip_reason: str | None
    skip_mode: SkipMode | None
    because_of: tuple[NodeId, ...]
    """Blocked: the first cause. Skipped by rule: the skipped upstreams."""
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    duration: float
    """Of the last attempt."""
    waited: float
    """Between being ready and the first start."""
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, result: NodeResult) -> NodeOutcome:
        return cls(
            id=result.node_id,
            kind=result.kind,
            name=result.name,
            status=result.status,
            payload=None if result.payload is None else json.loads(result.payload),
            metadata=None if result.metadata is None else json.loads(result.metadata),
            materialized=result.materialized,
            attempts=result.attempt,
            error=result.error,
            retried=result.retried,
            skip_reason=result.skip_reason,
            skip_mode=result.skip_mode,
            because_of=result.because_of,
            started_at=_moment(result.started_at),
            finished_at=_moment(result.finished_at),
            duration=result.duration,
            waited=result.waited,
            warnings=result.warnings,
        )

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong with it: it succeeded, was skipped, or warned."""
        return self.status in SUCCESSES or self.status is Status.SKIPPED

    def __repr__(self) -> str:
        told = _told(self.error, self.skip_reason, self.because_of)
        return f"<{self.kind} {self.name} {self.status}{f': {told}' if told else ''}>"


@record(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A whole run. `exit_code` is what `sqb build` exits with."""

    run_id: str
    target: str
    started_at: float
    finished_at: float
    results: Mapping[NodeId, NodeResult]
    exit_code: int
    stopped_by: str | None = None
    """`SIGINT`, `SIGTERM`, `SIGHUP`, `fail-fast`, `cancellation` or None."""
    critical_path: tuple[NodeId, ...] = ()
    warnings: tuple[str, ...] = ()
    records: Mapping[NodeId, str] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """The text that journal and warehouse got of each result; what is not in it is encoded anew where it is needed."""
    dry_run: bool = False
    """Nothing was written: neither data nor results."""
    left_running: tuple[NodeId, ...] = ()
    """Nodes whose threads still ran when the run ended; the process must not wait for them."""

    def counts(self) -> dict[Status, int]:
        return dict(collections.Counter(map(operator.attrgetter("status"), self.results.values())))

    @property
    def ok(self) -> bool:
        """Whether the whole run succeeded; skips and warnings are fine."""
        return self.exit_code == 0

    @property
    def failures(self) -> tuple[NodeOutcome, ...]:
        """The nodes that failed, timed out, or of which no end was seen."""
        return tuple(NodeOutcome.of(result) for result in self.results.values() if result.status in FAILURES)

    def raise_for_failures(self) -> RunResult:
        """The run itself if it is `ok`; else raises RunFailed, which names what failed."""
        if self.ok:
            return self
        told = [f"{failure.kind} {failure.name}: {_told(failure.error, None, ())}" for failure in self.failures]
        more = [f"and {len(told) - _MANY} more"] if len(told) > _MANY else []
        failed = RunFailed("\n  ".join([self._title(), *told[:_MANY], *more]))
        failed.exit_code = self.exit_code
        raise failed

    def __getitem__(self, name: str) -> NodeOutcome:
        """A node by its name or `kind:name`. Raises KeyError for one that this run did not have."""
        result = self._find(name)
        if result is None:
            names = [result.name for result in self.results.values()]
            raise KeyError(f"this run has no node {name!r}, but {', '.join(names[:_MANY]) or 'none at all'}")
        return NodeOutcome.of(result)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __iter__(self) -> Iterator[NodeOutcome]:
        """How every node ended, upstreams first."""
        return map(NodeOutcome.of, self.results.values())

    def _find(self, name: str) -> NodeResult | None:
        found = self.results.get(NodeId(name))
        if found is not None:
            return found
        return next((result for result in self.results.values() if result.name == name), None)

    def _title(self) -> str:
        counts = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in self.counts().items())
        stopped = f", stopped by {self.stopped_by}" if self.stopped_by else ""
        seconds = self.finished_at - self.started_at
        return f"run {self.run_id} on {self.target}: {counts or 'nothing to run'} in {seconds:.1f} s{stopped}"

    def __repr__(self) -> str:
        return f"<{self._title()}>"

    def _repr_html_(self) -> str:
        """For notebooks: a table with what failed first."""
        first = sorted(self.results.values(), key=lambda result: _URGENCY.get(result.status, len(_URGENCY)))
        rows = [_html_row(result) for result in first[:_MANY_ROWS]]
        left = len(first) - len(rows)
        note = f"{left:,} more nodes are not shown" if left else ""
        return html_table(self._title(), ("node", "kind", "status", "seconds", "attempts", ""), rows, note)


_MANY = 20
_MANY_ROWS = 200
_URGENCY = {
    status: place
    for place, status in enumerate(
        (Status.FAILED, Status.TIMED_OUT, Status.UNKNOWN, Status.WARNED, Status.BLOCKED, Status.CANCELLED)
    )
}


def _html_row(result: NodeResult) -> tuple[Cell, ...]:
    why = _told(result.error, result.skip_reason, result.because_of)
    told: Cell = Folded(why, result.error.traceback) if result.error and result.error.traceback else why
    attempts = str(result.attempt) if result.attempt > 1 else ""
    status = result.status.replace("_", " ")
    return result.name, str(result.kind), status, f"{result.duration:.3f}" if result.attempt else "", attempts, told


def told_in_one_line(result: NodeResult) -> str:
    """Why a node ended as it did; empty for one that simply succeeded."""
    return _told(result.error, result.skip_reason, result.because_of)


def _told(error: ErrorFacts | None, skip_reason: str | None, because_of: tuple[NodeId, ...]) -> str:
    """Why a node ended as it did, in one line."""
    if error is not None:
        place = f" ({error.path}:{error.line})" if error.path and error.line else ""
        return f"{error.type}: {(error.message.splitlines() or [''])[0][:_LONGEST]}{place}"
    return skip_reason or (f"because of {', '.join(because_of[:3])}" if because_of else "")


_LONGEST = 300


def _moment(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)
