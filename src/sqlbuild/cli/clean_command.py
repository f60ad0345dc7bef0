from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from sqlbuild.app.wording import counted, first_few
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import is_terminal, write_document, write_error_text, write_lines
from sqlbuild.cli.target_options import LockTimeout, patience_of

if TYPE_CHECKING:
    from sqlbuild.app.cleaning import Losses
    from sqlbuild.app.run_folders import UnfinishedRun

SCHEMA_VERSION = 1
_SHOWN = 10


def clean(
    options: SharedOptions,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove runs that could be gone on with too, after saying what is lost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --all: do not ask.")] = False,
    lock_timeout: LockTimeout = 60.0,
) -> int:
    """Remove what earlier commands left behind. That is target/ and unfinished tables and files of dead runs, but not
    runs that could be gone on with."""
    from sqlbuild.app import cleaning
    from sqlbuild.cli.open_project import project_options

    project, patience = project_options(options), patience_of(options, lock_timeout)
    losses = cleaning.losses_of_clean(project, patience) if everything else None
    if losses is not None and not yes and losses.something:
        write_error_text("".join(f"{line}\n" for line in _told(losses)))
        if options.json or not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
            raise typer.BadParameter("nothing was removed: --all asks first; give --yes where nobody can answer")
        if not _agreed():
            write_error_text("nothing was removed\n")
            return 1
    unfinished = () if losses is None else losses.unfinished
    report = cleaning.clean(
        project, give_up=frozenset(run.run_id for run in unfinished), everything=everything, patience=patience
    )
    if options.json:
        document = {"schema_version": SCHEMA_VERSION, "removed": list(report.removed), "kept": list(report.kept)}
        write_document({**document, "given_up": [dataclasses.asdict(run) for run in unfinished]})
    elif not options.quiet:
        if losses is not None and losses.something and yes:
            write_lines(_told(losses))
        lines = [f"removed {path}" for path in report.removed] or ["nothing to remove"]
        write_lines([*lines, *(f"kept {path}" for path in report.kept)])
    return 0


def _told(losses: Losses) -> Iterator[str]:
    """What is lost for good, and what is not."""
    yield "this is lost for good:"
    if losses.unfinished:
        yield f"  {counted(len(losses.unfinished), 'run')} that could be gone on with:"
        for run in losses.unfinished[:_SHOWN]:
            yield f"    {_told_run(run)}"
        if len(losses.unfinished) > _SHOWN:
            yield f"    and {len(losses.unfinished) - _SHOWN:,} more"
    if losses.ended:
        yield f"  journals and logs of {counted(losses.ended, 'other run')}"
    if losses.paths:
        yield f"  {first_few(losses.paths)}"
    yield "what was built stays, and so do results in the warehouse"


def _told_run(run: UnfinishedRun) -> str:
    facts = [run.how if run.target is None else f"on target {run.target}, {run.how}"]
    if run.planned:
        facts.append(f"{run.done:,} of {counted(run.planned, 'node')} done")
    if run.checkpoints:
        facts.append(counted(run.checkpoints, "checkpoint"))
    if run.only_in_journal:
        facts.append(f"{counted(run.only_in_journal, 'result')} that no warehouse has")
    return f"{run.run_id}  {', '.join(facts)}"


def _agreed() -> bool:
    write_error_text("remove it? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
