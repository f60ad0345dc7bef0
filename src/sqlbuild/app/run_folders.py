"""The folders in target/runs: of runs that have ended for good, and of those that could still be gone on with."""

from __future__ import annotations

import dataclasses
import os
import shutil

from sqlbuild.app.history_sources import goes_on, is_process_alive
from sqlbuild.app.live_runs import LiveRuns, live_runs
from sqlbuild.app.resuming import can_be_resumed
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.past import Past
from sqlbuild.domain.record import record
from sqlbuild.domain.results import SUCCESSES
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import SqlbuildError
from sqlbuild.state.journal import FILE_NAME, read_journal
from sqlbuild.state.node_result_json import result_from_json
from sqlbuild.state.run_journal import RunJournal

_STOPPED = frozenset({129, 130, 143})


@record(frozen=True, slots=True, kw_only=True)
class UnfinishedRun:
    """A run whose journal is still good for something. `how` tells how it ended, in words."""

    run_id: str
    target: str | None
    """None if the journal does not tell."""
    how: str
    done: int = 0
    """Nodes that succeeded, of `planned`."""
    planned: int = 0
    checkpoints: int = 0
    """Kept for nodes that did not succeed."""
    only_in_journal: int = 0
    """Results that were not brought to the warehouse."""
    live: bool = False
    """It goes on."""


@record(frozen=True, slots=True, kw_only=True)
class RunFolders:
    """Run ids, the newest first."""

    unfinished: tuple[UnfinishedRun, ...]
    ended: tuple[str, ...]


def look_through_runs(root: str, settings: Settings, past: Past, *, warehouse_is_there: bool) -> RunFolders:
    """All folders of runs; `past` is that of the chosen target, whose warehouse has or gets what is in the journals of
    its runs, if it is there."""
    folder = os.path.join(root, "target", "runs")
    names = sorted(os.listdir(folder), reverse=True) if os.path.isdir(folder) else []
    # Asked after the folders are known: a run names itself to the lock before it makes its folder.
    live = live_runs(settings)
    unfinished: list[UnfinishedRun] = []
    ended: list[str] = []
    look = _Look(settings, past, live, warehouse_is_there=warehouse_is_there)
    for name in names:
        found = look.unfinished(os.path.join(folder, name, FILE_NAME), name)
        if found is None:
            ended.append(name)
        else:
            unfinished.append(found)
    return RunFolders(unfinished=tuple(unfinished), ended=tuple(ended))


def prune_runs(folder: str, keep: int, resumed: str | None) -> None:
    """Remove the oldest runs that are over until `keep` folders are left; others stay, whatever their age, and so does
    the one that is `resumed`."""
    runs = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    for path in runs[: max(0, len(runs) - keep)]:
        if os.path.basename(path) != resumed and _is_over(path):
            shutil.rmtree(path)


class _Look:
    """At one journal after the other, the newest first."""

    def __init__(self, settings: Settings, past: Past, live: LiveRuns, *, warehouse_is_there: bool) -> None:
        self._settings = settings
        self._past = past
        self._live = live
        self._replayed = settings.target.name if warehouse_is_there else None
        self._taken: dict[str | None, set[NodeId]] = {}
        """Nodes of the runs that came later, by target."""

    def unfinished(self, path: str, run_id: str) -> UnfinishedRun | None:
        """None for a run that nobody can go on with, and whose results the warehouse has."""
        live = run_id in self._live.run_ids
        if not os.path.exists(path):
            return UnfinishedRun(run_id=run_id, target=None, how="goes on", live=True) if live else None
        try:
            run = read_journal(path)
        except SqlbuildError:
            return UnfinishedRun(run_id=run_id, target=None, how="has a damaged journal", live=live)
        later = self._taken.setdefault(run.target, set())
        overtaken = not later.isdisjoint(run.planned)
        later.update(run.started, run.records)
        if self._goes_on(run):
            return _told(run, run_id, "goes on", live=True)
        only_in_journal = run.is_lost and run.target != self._replayed
        past = self._past if run.target == self._settings.target.name else Past()
        if not only_in_journal and (overtaken or not can_be_resumed(past, run)):
            return None
        how = "was stopped" if run.ended_with in _STOPPED else "failed"
        return _told(
            run,
            run_id,
            "was cut off" if run.ended_with is None else how,
            only_in_journal=len(run.records) if only_in_journal else 0,
        )

    def _goes_on(self, run: RunJournal) -> bool:
        live_id = run.run_id if run.run_id in self._live.run_ids else None
        target = self._settings.targets.get(run.target or "")
        if target is None:
            return live_id is not None
        if target.name in self._live.untold and run.ended_with is None and is_process_alive(run):
            return True
        return goes_on(run, live_id, dataclasses.replace(self._settings, target=target))


def _told(run: RunJournal, run_id: str, how: str, *, live: bool = False, only_in_journal: int = 0) -> UnfinishedRun:
    done = {node for node, text in run.records.items() if result_from_json(text).status in SUCCESSES}
    kept = (found for node, found in run.checkpoints.items() if node not in done)
    return UnfinishedRun(
        run_id=run_id,
        target=run.target,
        how=how,
        done=len(done),
        planned=len(run.planned),
        checkpoints=sum(len(texts) for found in kept for texts in found.texts.values()),
        only_in_journal=only_in_journal,
        live=live,
    )


def _is_over(run: str) -> bool:
    """Whether a run's journal tells its end, or that the warehouse has all that it says; one that was never begun counts,
    a damaged one does not."""
    path = os.path.join(run, FILE_NAME)
    if not os.path.exists(path):
        return True
    try:
        journal = read_journal(path)
    except SqlbuildError:
        return False
    return journal.ended_with is not None or journal.replayed
