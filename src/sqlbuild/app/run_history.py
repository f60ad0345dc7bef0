"""`sqb history`: the past runs of a target."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

from sqlbuild.app.history_sources import ask_warehouse, goes_on, journals_of
from sqlbuild.app.live_runs import holder_of
from sqlbuild.app.options import ProjectOptions
from sqlbuild.app.resuming import can_be_resumed
from sqlbuild.domain.past import Past
from sqlbuild.domain.past_runs import Ending, PastRun
from sqlbuild.domain.record import record
from sqlbuild.domain.run_ids import time_of_run_id
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import EngineError, ProjectError
from sqlbuild.interfaces.target_lock import Holder
from sqlbuild.project.settings_file import read_settings
from sqlbuild.state.journal import read_journal, read_opening
from sqlbuild.state.past_runs import command_of, is_short, run_at_work, run_of_journal
from sqlbuild.state.run_journal import RunJournal


@record(frozen=True, slots=True, kw_only=True)
class RunHistory:
    """Runs, the newest first. `why_not` says why the warehouse was not asked; then there are only those with a journal."""

    target: str
    runs: tuple[PastRun, ...]
    why_not: str = ""


def run_history(options: ProjectOptions, limit: int) -> RunHistory:
    """The newest `limit` runs; needs a project's settings only. Raises ProjectError where they are wrong."""
    settings, problems = read_settings(options.root, target=options.target, vars=options.vars, environ=options.environ)
    options.masker.add(settings.secrets)
    if any(problem.severity == "error" for problem in problems):
        raise ProjectError(problems)
    target = settings.target.name
    # First who holds it: if that run ends in between, its journal says so.
    holder = holder_of(settings)
    if holder is not None and (holder.target not in ("", target) or holder.run_id is None):
        holder = None
    answer = ask_warehouse(settings, options.root, lambda stored: stored.runs(limit))
    stored = {run.run_id: run for run in answer.found or ()}
    journals = journals_of(options.root, target)
    reader = _Reader(settings, answer.past, journals, holder)
    live = [] if holder is None or holder.run_id is None else [holder.run_id]
    ids = sorted({*stored, *journals, *live}, reverse=True)[:limit]
    runs = [reader.run(run_id, stored.get(run_id)) for run_id in ids]
    runs.sort(key=lambda run: (run.started_at or time_of_run_id(run.run_id), run.run_id), reverse=True)
    return RunHistory(target=target, runs=tuple(runs), why_not=answer.why_not)


class _Reader:
    """Puts together what the warehouse and a journal say of a run. `holder` is the run that has the target now."""

    def __init__(self, settings: Settings, past: Past, journals: Mapping[str, str], holder: Holder | None) -> None:
        self._settings = settings
        self._past = past
        self._journals = journals
        self._holder = holder
        self._live_id = None if holder is None else holder.run_id
        self._taken = self._planned_by_live()

    def run(self, run_id: str, stored: PastRun | None) -> PastRun:
        path = self._journals.get(run_id)
        if path is None:
            return stored or self._elsewhere(run_id)
        try:
            if stored is not None and stored.ending is Ending.SUCCEEDED:
                # The rest of its journal says nothing else, and may be long.
                return dataclasses.replace(stored, command=command_of(read_opening(path)))
            journal = read_journal(path, about=())
            return self._of_journal(run_id, journal if is_short(journal) else read_journal(path), stored)
        except EngineError as error:
            damage = str(error.args[0])
            if stored is not None:
                return dataclasses.replace(stored, damage=damage)
            return PastRun(run_id=run_id, ending=Ending.DAMAGED, damage=damage)

    def _of_journal(self, run_id: str, journal: RunJournal, stored: PastRun | None) -> PastRun:
        run = run_of_journal(run_id, journal)
        if goes_on(journal, self._live_id, self._settings):
            return run_at_work(run, journal, _now())
        if journal.replayed and stored is not None:
            # What took effect in a run that was lost is known to the warehouse alone.
            run = dataclasses.replace(run, counts=stored.counts)
        resumable = can_be_resumed(self._past, journal) and not self._taken & journal.planned.keys()
        return dataclasses.replace(run, can_be_resumed=resumable)

    def _elsewhere(self, run_id: str) -> PastRun:
        """It runs in another copy of the project."""
        assert self._holder is not None
        since = self._holder.since
        return PastRun(run_id=run_id, ending=Ending.RUNNING, started_at=since, seconds=max(0.0, _now() - since))

    def _planned_by_live(self) -> frozenset[str]:
        path = self._journals.get(self._live_id or "")
        try:
            return frozenset(read_journal(path).planned) if path is not None else frozenset()
        except EngineError:
            return frozenset()


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()
