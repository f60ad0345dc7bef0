from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_error_text
from sqlbuild.cli.selection_options import AllowEmpty, Exclude, NoPython, Only, Select, Selectors, selection_of
from sqlbuild.errors import EngineError

if TYPE_CHECKING:
    from sqlbuild.interfaces.event_sink import EventSink


def finite_seconds(text: str) -> float:
    """Seconds as the command line gives them. Raises typer.BadParameter for less than 0 and what is no number."""
    try:
        seconds = float(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a number of seconds") from error
    if not math.isfinite(seconds) or seconds < 0:
        raise typer.BadParameter(f"{text!r} is not a number of seconds of at least 0")
    return seconds


def build(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    no_tests: Annotated[bool, typer.Option("--no-tests", help="Leave unit tests out.")] = False,  # noqa: ARG001
    no_audits: Annotated[bool, typer.Option("--no-audits", help="Leave audits and checks out.")] = False,  # noqa: ARG001
    no_python: NoPython = False,
    only: Only = False,
    allow_empty: AllowEmpty = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop the run at the first failure.")] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most N async nodes at once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run at most N def nodes at once.")] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most N SQL statements at once.")
    ] = None,
    lock_timeout: Annotated[
        float,
        typer.Option(parser=finite_seconds, metavar="SECONDS", help="Wait so long for a target another run writes to."),
    ] = 60.0,
    grace: Annotated[
        float,
        typer.Option(
            parser=finite_seconds, metavar="SECONDS", help="Wait so long for threads when the run is stopped."
        ),
    ] = 10.0,
    backend: Annotated[Literal["asyncio", "trio"], typer.Option(help="The event loop that runs it.")] = "asyncio",
    events: Annotated[bool, typer.Option("--events", help="Print one JSON object per event on stdout.")] = False,
) -> int:
    """Run models, tasks and assets. A selection runs with whatever it needs and the target lacks."""
    if events and options.json:
        raise typer.BadParameter("--json and --events both write to stdout; give one of them")
    from sqlbuild.app.operations import RunOptions
    from sqlbuild.app.operations import build as run_build
    from sqlbuild.app.run_output import captured_logging, captured_output, run_document
    from sqlbuild.cli.open_project import open_project

    selection = selection_of(selectors, select, exclude, only=only, allow_empty=allow_empty, no_python=no_python)
    run_options = RunOptions(
        concurrency=concurrency,
        threads=threads,
        connections=connections,
        fail_fast=fail_fast,
        grace=grace,
        lock_timeout=lock_timeout,
        backend=backend,
        debug=options.debug,
    )
    sinks = _sinks(options, events=events)
    # Where stdout is a document, nothing that the project's code prints may get into it.
    with captured_output(sys.stderr if options.json or events else None):
        compiled = open_project(options)
        with captured_logging():
            result = run_build(compiled, selection, run_options, sinks)
    if options.json:
        _write_result(run_document(result, compiled))
    return result.exit_code


def _write_result(document: dict[str, Any]) -> None:
    try:
        write_document(document)
    except EngineError as error:
        # The run has happened and is stored; its exit code tells how it went.
        write_error_text(f"warning: {error}\n")


def _sinks(options: SharedOptions, *, events: bool) -> list[EventSink]:
    from sqlbuild.app.run_output import json_lines_sink, plain_sink

    if options.json:
        return []
    if events:
        return [json_lines_sink(sys.stdout)]
    if options.has_live_view():
        from sqlbuild.app.live_output import live_sink

        return [live_sink(sys.stdout, colour=options.has_colour(), verbose=options.verbose)]
    return [plain_sink(sys.stdout, colour=options.has_colour(), verbose=options.verbose, quiet=options.quiet)]
