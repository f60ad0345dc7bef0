"""What rows of the warehouse and journals say of a run as a whole. Pure."""

from __future__ import annotations

import collections
import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sqlbuild.domain.past_runs import Ending, PastRun
from sqlbuild.domain.record import record
from sqlbuild.domain.results import Status
from sqlbuild.state.node_result_json import loads
from sqlbuild.state.replay import LOST
from sqlbuild.state.run_journal import RunJournal

STOPS = frozenset({"SIGINT", "SIGTERM", "SIGHUP", "cancellation"})
"""What stops a run from outside."""

_FLAGS = (("only", "--only"), ("no_python", "--no-python"), ("allow_empty", "--allow-empty"))


@record(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A row of `_sqlbuild_runs`: one for each process that brought the run to an end, or found it lost."""

    started_at: float | None
    finished_at: float | None
    exit_code: int | None
    stopped_by: str | None


def ending_of(exit_code: int | None, stopped_by: str | None) -> Ending:
    """`exit_code` is None for a run without an end."""
    if exit_code is None or stopped_by == LOST:
        return Ending.KILLED
    if stopped_by in STOPS:
        return Ending.STOPPED
    return Ending.FAILED if exit_code else Ending.SUCCEEDED


def run_of_rows(run_id: str, rows: Sequence[StoredRun], counts: Mapping[Status, int], began: float | None) -> PastRun:
    """`rows` in the order of storing; a run of which only results are stored has none, and `began` with the first."""
    if not rows:
        return PastRun(run_id=run_id, ending=Ending.KILLED, started_at=began, counts=counts)
    seconds, end = 0.0, None
    for row in rows:
        if row.started_at is not None and row.finished_at is not None:
            # A process that was lost may be known to have begun with the run only.
            start = row.started_at if end is None else max(row.started_at, end)
            seconds, end = seconds + max(0.0, row.finished_at - start), row.finished_at
    last = rows[-1]
    return PastRun(
        run_id=run_id,
        ending=ending_of(last.exit_code, last.stopped_by),
        started_at=min((row.started_at for row in rows if row.started_at is not None), default=None),
        finished_at=end,
        seconds=seconds,
        exit_code=None if last.stopped_by == LOST else last.exit_code,
        stopped_by=None if last.stopped_by == LOST else last.stopped_by,
        counts=counts,
        resumed=len(rows) - 1,
    )


def run_of_journal(run_id: str, journal: RunJournal) -> PastRun:
    """The run as its journal alone knows it; what goes on at this moment looks killed.

    Of a run that `is_short` it needs nothing about nodes.
    """
    if is_short(journal):
        counts = collections.Counter({Status(status): count for status, count in journal.counts.items()})
    else:
        counts = collections.Counter(Status(loads(record)["status"]) for record in journal.records.values())
        counts += collections.Counter({Status.UNKNOWN: len(journal.unknown)})
    return PastRun(
        run_id=run_id,
        ending=ending_of(journal.ended_with, journal.stopped_by),
        started_at=journal.started_at,
        finished_at=journal.last_at,
        seconds=None if journal.started_at is None else journal.seconds,
        exit_code=journal.ended_with,
        stopped_by=journal.stopped_by,
        counts=counts,
        planned=len(journal.planned) or None,
        resumed=journal.resumed,
        command=command_of(journal),
    )


def is_short(journal: RunJournal) -> bool:
    """Whether the last record tells all: one process had the run, and brought it to its end."""
    return journal.ended_with is not None and not journal.resumed


def run_at_work(run: PastRun, journal: RunJournal, now: float) -> PastRun:
    """The same for a run that goes on: what has begun has not been lost."""
    counts = dict(run.counts)
    counts.pop(Status.UNKNOWN, None)
    since = 0.0 if journal.last_at is None else max(0.0, now - journal.last_at)
    return dataclasses.replace(
        run,
        ending=Ending.RUNNING,
        finished_at=None,
        seconds=None if run.seconds is None else run.seconds + since,
        exit_code=None,
        stopped_by=None,
        counts=counts,
        at_work=len(journal.unknown),
        can_be_resumed=False,
    )


def command_of(journal: RunJournal) -> str | None:
    """The command that began the run, with what it asked for; None where the journal does not say."""
    request = journal.request
    if request is None:
        return None
    selection: Mapping[str, Any] = request.get("selection") or {}
    words = [str(request.get("command") or _command(selection))]
    words += map(shlex.quote, selection.get("select") or ())
    for selector in selection.get("exclude") or ():
        words += ["--exclude", shlex.quote(selector)]
    words += [flag for name, flag in _FLAGS if selection.get(name)]
    if selection.get("load") is not None and not selection.get("loaders_alone"):
        words.append("--load" if selection["load"] else "--no-load")
    if selection.get("no_checks") and not selection.get("loaders_alone"):
        words.append("--no-audits")
    if request.get("reload"):
        words.append("--reload")
    return " ".join(words)


def not_begun(run: PastRun) -> int:
    """How many of the planned nodes have neither ended nor begun."""
    return 0 if run.planned is None else max(0, run.planned - run.at_work - sum(run.counts.values()))


def _command(selection: Mapping[str, Any]) -> str:
    """Of a journal that does not name it."""
    if selection.get("checks_alone"):
        return "sqb check"
    return "sqb load" if selection.get("loaders_alone") else "sqb build"
