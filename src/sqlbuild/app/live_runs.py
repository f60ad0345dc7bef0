"""What is known of a target while a run goes on in it: its last state, and what the run's journal says so far.

Neither opens the warehouse, which the run may hold.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping

from sqlbuild.app.options import Compiled
from sqlbuild.app.target_folder import state_json
from sqlbuild.app.wiring import make_lock
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.past import Past
from sqlbuild.domain.record import record
from sqlbuild.domain.results import NodeResult, RunResult
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import SqlbuildError, WarehouseUnreachable
from sqlbuild.interfaces.target_lock import Holder
from sqlbuild.state.journal import FILE_NAME, read_journal
from sqlbuild.state.node_result_json import result_from_json
from sqlbuild.state.past_file import read_past
from sqlbuild.state.run_journal import RunJournal

ASKING_SECONDS = 3.0
"""A server that does not say sooner who holds a target is not waited for."""


@record(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A run that has not ended: who runs it, which nodes are done and which are at work, with their attempt."""

    run_id: str
    holder: Holder
    done: Mapping[NodeId, NodeResult]
    at_work: Mapping[NodeId, int]


@record(frozen=True, slots=True, kw_only=True)
class Known:
    """The past of a target with that of its `live` run, if there is one, and the last results by node, newest first."""

    past: Past
    results: Mapping[NodeId, tuple[NodeResult, ...]]
    live: LiveRun | None


def known_of(compiled: Compiled) -> Known:
    """Read from target/; empty where there is nothing to read."""
    root, target = compiled.project.root, compiled.project.settings.target.name
    # First the run: if it ends in between, the state has it, and what is known twice is known once below.
    live = live_run_of(compiled)
    past, results = read_past(state_json(root), target)
    if live is not None and past.last_run_id == live.run_id:
        live = None
    if live is None:
        return Known(past=past, results=results, live=None)
    return Known(past=_after(past, live, target, compiled.graph), results=_LiveResults(live, results), live=live)


def live_run_of(compiled: Compiled) -> LiveRun | None:
    """The run that goes on in the chosen target at this moment, in this folder."""
    settings = compiled.project.settings
    holder = holder_if_told(settings)
    if holder is None or holder.run_id is None or holder.target not in ("", settings.target.name):
        return None
    try:
        journal = read_journal(os.path.join(compiled.project.root, "target", "runs", holder.run_id, FILE_NAME))
    except SqlbuildError:  # it runs in another copy of the project, or has written nothing yet
        journal = RunJournal()
    done = {node: result_from_json(text) for node, text in journal.records.items() if node in compiled.graph.nodes}
    return LiveRun(
        run_id=holder.run_id,
        holder=holder,
        done=done,
        at_work={
            node: attempt
            for node, attempt in journal.started.items()
            # What began before the run was gone on with was cut off then.
            if node not in journal.records and journal.began_at[node] >= (journal.resumed_at or 0.0)
        },
    )


def holder_of(settings: Settings) -> Holder | None:
    """Who writes to the chosen target at this moment, as far as it is known.

    Raises WarehouseUnreachable where a server that knows it does not answer soon.
    """
    lock = make_lock(settings, patience=ASKING_SECONDS)
    if lock is None:
        return None
    try:
        return lock.holder() if lock.is_held() else None
    finally:
        lock.release()


def holder_if_told(settings: Settings) -> Holder | None:
    """As `holder_of`, but None where nobody answers."""
    with contextlib.suppress(WarehouseUnreachable):
        return holder_of(settings)
    return None


@record(frozen=True, slots=True, kw_only=True)
class LiveRuns:
    """Runs that go on in any target of the project, and the targets of which that cannot be told."""

    run_ids: frozenset[str]
    untold: frozenset[str]


def live_runs(settings: Settings) -> LiveRuns:
    """Those of all targets of the project."""
    run_ids: set[str] = set()
    untold: set[str] = set()
    for target in settings.targets.values():
        try:
            holder = holder_of(dataclasses.replace(settings, target=target))
        except WarehouseUnreachable:
            untold.add(target.name)
        else:
            run_ids |= {holder.run_id} if holder is not None and holder.run_id is not None else set()
    return LiveRuns(run_ids=frozenset(run_ids), untold=frozenset(untold))


def _after(past: Past, live: LiveRun, target: str, graph: Graph) -> Past:
    so_far = RunResult(
        run_id=live.run_id,
        target=target,
        started_at=live.holder.since,
        finished_at=live.holder.since,
        results=live.done,
        exit_code=0,
    )
    return past.after(so_far, graph)


class _LiveResults(Mapping[NodeId, tuple[NodeResult, ...]]):
    """Stored results, decoded when they are looked up, behind those of the live run."""

    def __init__(self, live: LiveRun, stored: Mapping[NodeId, tuple[NodeResult, ...]]) -> None:
        self._done = live.done
        self._stored = stored

    def __getitem__(self, node: NodeId) -> tuple[NodeResult, ...]:
        done = self._done.get(node)
        return self._stored[node] if done is None else (done, *self._stored.get(node, ()))

    def __iter__(self) -> Iterator[NodeId]:
        return iter({**self._done, **dict.fromkeys(self._stored)})

    def __len__(self) -> int:
        return len({*self._done, *self._stored})
