"""What every command that runs nodes does: open the project, run a selection, show how it goes."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_error_text
from sqlbuild.cli.target_options import WaitingNotes
from sqlbuild.errors import EngineError

if TYPE_CHECKING:
    from sqlbuild.app.options import RunOptions
    from sqlbuild.domain.selection import Selection
    from sqlbuild.interfaces.event_sink import EventSink


def refuse_two_documents(options: SharedOptions, *, events: bool) -> None:
    """Raises typer.BadParameter where --json and --events would both write to stdout."""
    if events and options.json:
        raise typer.BadParameter("--json and --events both write to stdout; give one of them")


def run_selection(options: SharedOptions, selection: Selection, run_options: RunOptions, *, events: bool) -> int:
    """Run what is selected and return the exit code of the run."""
    from sqlbuild.app.building import build as run_build
    from sqlbuild.app.run_output import captured_logging, captured_output, run_document
    from sqlbuild.cli.open_project import open_project

    sinks = _sinks(options, events=events)
    # Where stdout is a document, nothing that the project's code prints may get into it.
    with captured_output(sys.stderr if options.json or events else None, options.masker):
        compiled = open_project(options).for_run_of(selection)
        with captured_logging():
            result = run_build(compiled, selection, dataclasses.replace(run_options, vars=options.vars), sinks)
    if options.json:
        _write_result(run_document(result, compiled))
    return result.exit_code


def resume_run(options: SharedOptions, run_id: str | None, run_options: RunOptions, *, events: bool) -> int:
    """Go on with a run, `run_id` or the last one of the target that did not succeed; its exit code."""
    from sqlbuild.app.resuming import find_run, refresh_of_run, selection_of_run, vars_of_run
    from sqlbuild.cli.open_project import project_options

    project = project_options(options)
    run = find_run(project, run_id)
    assert run.request is not None
    options = dataclasses.replace(options, project_dir=project.root, target=run.target, vars=vars_of_run(project, run))
    run_options = dataclasses.replace(
        run_options, resume=run, reload=run.request["reload"], refresh=refresh_of_run(run)
    )
    return run_selection(options, selection_of_run(run), run_options, events=events)


def _write_result(document: dict[str, Any]) -> None:
    try:
        write_document(document)
    except EngineError as error:
        # The run has happened and is stored; its exit code tells how it went.
        write_error_text(f"warning: {error}\n")


def _sinks(options: SharedOptions, *, events: bool) -> list[EventSink]:
    from sqlbuild.app.run_output import json_lines_sink, plain_sink

    if options.json:
        return [] if options.quiet else [WaitingNotes()]
    if events:
        return [json_lines_sink(sys.stdout)]
    if options.has_live_view():
        from sqlbuild.app.live_output import live_sink

        return [live_sink(sys.stdout, colour=options.has_colour(), verbose=options.verbose)]
    return [plain_sink(sys.stdout, colour=options.has_colour(), verbose=options.verbose, quiet=options.quiet)]
