"""What a run's journal says, read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.record import record

VERSION = 1

Entry = Mapping[str, Any]
_Texts = dict[str, dict[str, str]]


@record(frozen=True, slots=True, kw_only=True)
class NodeCheckpoints:
    """What a node has kept: scope -> key -> JSON text. The scope is empty for `ctx.checkpoint`, else it names the
    function of a `ctx.map`. It is good for code with that fingerprint (`Fingerprint.total`) only."""

    fingerprint: str
    texts: Mapping[str, Mapping[str, str]]


@record(frozen=True, slots=True, kw_only=True)
class RunJournal:
    """A run as its journal knows it. Without a readable first record `run_id` and `target` are None."""

    run_id: str | None = None
    target: str | None = None
    started_at: float | None = None
    pid: int | None = None
    host: str | None = None
    request: Mapping[str, Any] | None = None
    """What the run was asked for."""
    planned: Mapping[NodeId, str] = dataclasses.field(default_factory=dict)
    """Its nodes, with the fingerprint (`Fingerprint.total`) that each had when it was last planned."""
    resumed: int = 0
    """How often the run was gone on with."""
    resumed_at: float | None = None
    """When that was last, in seconds since the epoch."""
    replayed: bool = False
    """Since it was lost, all of it was brought to the warehouse."""
    started: Mapping[NodeId, int] = dataclasses.field(default_factory=dict)
    """The last attempt that began, of every node that did."""
    began_at: Mapping[NodeId, float] = dataclasses.field(default_factory=dict)
    """When that was, in seconds since the epoch."""
    began_with: Mapping[NodeId, str] = dataclasses.field(default_factory=dict)
    """The fingerprint that each of them was planned with then."""
    turns: Mapping[NodeId, int] = dataclasses.field(default_factory=dict)
    """Which of all attempts of the run that was: of two, the one with the larger number began later."""
    failed_attempts: Mapping[NodeId, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """What each attempt that was to be tried again failed with."""
    checkpoints: Mapping[NodeId, NodeCheckpoints] = dataclasses.field(default_factory=dict)
    records: Mapping[NodeId, str] = dataclasses.field(default_factory=dict)
    """The record text of every node that ended; the last one, should there be several."""
    ended_with: int | None = None
    """The exit code of a run that came to its end."""
    stopped_by: str | None = None
    """What stopped it before, as in `RunResult`."""
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Status -> how many nodes the process that brought it to its end has left so."""
    last_at: float | None = None
    """The latest time that any record of the run tells."""
    seconds: float = 0.0
    """How long its processes took until then, without the time between them."""
    dropped_bytes: int = 0
    """Length of a torn last record, which is left out."""

    @property
    def unknown(self) -> tuple[NodeId, ...]:
        """Nodes that began and of which no end was seen."""
        return tuple(node for node in self.started if node not in self.records)

    @property
    def is_lost(self) -> bool:
        """Whether the run's process ended before the run did, and nobody has looked after it since."""
        return self.ended_with is None and not self.replayed

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.dropped_bytes:
            return ()
        return (f"the last record of run {self.run_id} is torn ({self.dropped_bytes} bytes) and was left out",)


def fold_entries(entries: Iterable[tuple[Entry, str | None]], dropped_bytes: int = 0) -> RunJournal:
    """Entries in the order of writing; one that says how a node ended comes with its record text."""
    facts: dict[str, Any] = {}
    attempts = _Attempts()
    times = _Times()
    failed: dict[NodeId, tuple[str, ...]] = {}
    checkpoints: dict[NodeId, tuple[str, _Texts]] = {}
    planned: dict[NodeId, str] = {}
    resumed, replayed = 0, False
    end: Entry = {}
    for entry, result in entries:
        if "journal" in entry:
            facts = {name: entry.get(name) for name in ("run_id", "target", "started_at", "pid", "host", "request")}
            times.begin(entry.get("started_at"))
        elif "planned" in entry:
            planned.update(entry["planned"])
        elif "resumed" in entry:
            resumed, replayed, end = resumed + 1, False, {}
            facts |= {name: entry.get(name) for name in ("pid", "host")} | {"resumed_at": entry.get("at")}
            times.begin(entry.get("at"))
        elif "replayed" in entry:
            replayed = True
        elif "started" in entry:
            attempts.begin(entry, planned)
            times.last = entry["at"]
        elif "failed" in entry:
            node = NodeId(entry["failed"])
            failed[node] = (*failed.get(node, ()), entry["error"])
        elif "checkpoints" in entry:
            _add_checkpoints(checkpoints, entry)
        elif "finished" in entry and result is not None:
            attempts.records[NodeId(entry["finished"]["node_id"])] = result
        elif "ended" in entry:
            end = entry
            times.last = entry["at"]
    return RunJournal(
        **facts,
        planned=planned,
        resumed=resumed,
        replayed=replayed,
        started=attempts.started,
        began_at=attempts.began_at,
        began_with=attempts.began_with,
        turns=attempts.turns,
        failed_attempts=failed,
        checkpoints={
            node: NodeCheckpoints(fingerprint=fingerprint, texts=texts)
            for node, (fingerprint, texts) in checkpoints.items()
        },
        records=attempts.records,
        ended_with=end.get("exit_code"),
        stopped_by=end.get("stopped_by"),
        counts=end.get("counts", {}),
        last_at=times.last,
        seconds=times.total(),
        dropped_bytes=dropped_bytes,
    )


@record(slots=True)
class _Attempts:
    """The fields of `RunJournal` with the same names."""

    started: dict[NodeId, int] = dataclasses.field(default_factory=dict)
    began_at: dict[NodeId, float] = dataclasses.field(default_factory=dict)
    began_with: dict[NodeId, str] = dataclasses.field(default_factory=dict)
    turns: dict[NodeId, int] = dataclasses.field(default_factory=dict)
    records: dict[NodeId, str] = dataclasses.field(default_factory=dict)
    _count: int = 0

    def begin(self, entry: Entry, planned: Mapping[NodeId, str]) -> None:
        node = NodeId(entry["started"])
        if (self.started.get(node), self.began_at.get(node)) != (entry["attempt"], entry["at"]):
            self._count += 1
            self.turns[node] = self._count
        self.started[node] = entry["attempt"]
        self.began_at[node] = entry["at"]
        self.began_with[node] = planned.get(node, "")
        # What it ended with before it was begun again counts no more.
        self.records.pop(node, None)


@record(slots=True)
class _Times:
    """Of the processes that had the run, one after the other."""

    last: float | None = None
    _began: float | None = None
    _before: float = 0.0

    def begin(self, at: float | None) -> None:
        self._before = self.total()
        self.last = self._began = at

    def total(self) -> float:
        """Seconds."""
        if self._began is None or self.last is None:
            return self._before
        return self._before + max(0.0, self.last - self._began)


def _add_checkpoints(checkpoints: dict[NodeId, tuple[str, _Texts]], entry: Entry) -> None:
    """Those of other code count no more."""
    node, fingerprint = NodeId(entry["checkpoints"]), entry["fingerprint"]
    if node not in checkpoints or checkpoints[node][0] != fingerprint:
        checkpoints[node] = (fingerprint, {})
    checkpoints[node][1].setdefault(entry["scope"], {}).update(entry["values"])
