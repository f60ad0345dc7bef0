from __future__ import annotations

from typing import Annotated, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.refresh_options import (
    EndCursor,
    EndCursorInt,
    EndCursorTs,
    FullRefresh,
    MaxMicrobatches,
    StartCursor,
    StartCursorInt,
    StartCursorTs,
    refresh_of,
)
from sqlbuild.cli.run_selection import refuse_two_documents, resume_run, run_selection
from sqlbuild.cli.selection_options import (
    AllowEmpty,
    Changed,
    DeferTo,
    Exclude,
    Load,
    NoPython,
    Only,
    Select,
    Selectors,
    selection_of,
)
from sqlbuild.cli.target_options import LockTimeout, TestTimeout, finite_seconds


def build(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    no_tests: Annotated[bool, typer.Option("--no-tests", help="Leave unit tests out.")] = False,
    no_audits: Annotated[bool, typer.Option("--no-audits", help="Leave audits and checks out.")] = False,
    no_python: NoPython = False,
    load: Load = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Tell loaders, by ctx.is_reload, to load everything again.")
    ] = False,
    full_refresh: FullRefresh = False,
    start_cursor: StartCursor = None,
    end_cursor: EndCursor = None,
    start_cursor_ts: StartCursorTs = None,
    end_cursor_ts: EndCursorTs = None,
    start_cursor_int: StartCursorInt = None,
    end_cursor_int: EndCursorInt = None,
    max_microbatches: MaxMicrobatches = None,
    only: Only = False,
    changed: Changed = False,
    defer_to: DeferTo = None,
    allow_empty: AllowEmpty = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop the run at the first failure.")] = False,
    strict_async: Annotated[
        bool, typer.Option("--strict-async", help="Let an async node fail that blocks the event loop.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing: check SQL, and call only nodes declared with dry_run=True."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last run of the target that did not succeed.")
    ] = False,
    resume_run_id: Annotated[
        str | None, typer.Option("--resume-run", metavar="ID", help="Go on with this run.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on with a run although a later one has written some of its nodes.")
    ] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most N async nodes at once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run at most N def nodes at once.")] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most N SQL statements at once.")
    ] = None,
    test_timeout: TestTimeout = None,
    lock_timeout: LockTimeout = 60.0,
    grace: Annotated[
        float,
        typer.Option(
            parser=finite_seconds, metavar="SECONDS", help="Wait so long for threads when the run is stopped."
        ),
    ] = 10.0,
    backend: Annotated[Literal["asyncio", "trio"], typer.Option(help="The event loop that runs it.")] = "asyncio",
    events: Annotated[bool, typer.Option("--events", help="Print one JSON object per event on stdout.")] = False,
) -> int:
    """Run loaders, unit tests, models, audits, tasks, assets and checks. A selection runs with whatever it needs and the target lacks."""
    refuse_two_documents(options, events=events)
    if reload and load is False:
        raise typer.BadParameter("--reload and --no-load contradict each other; give one of them")
    from sqlbuild.app.options import RunOptions

    refresh = refresh_of(
        full=full_refresh,
        start=(start_cursor, start_cursor_ts, start_cursor_int),
        end=(end_cursor, end_cursor_ts, end_cursor_int),
        most_batches=max_microbatches,
    )
    selection = selection_of(
        selectors,
        select,
        exclude,
        only=only,
        changed=changed,
        defer_to=defer_to,
        allow_empty=allow_empty,
        no_python=no_python,
        no_checks=no_audits,
        no_tests=no_tests,
        load=True if reload else load,
    )
    run_options = RunOptions(
        concurrency=concurrency,
        threads=threads,
        connections=connections,
        fail_fast=fail_fast,
        strict_async=strict_async,
        grace=grace,
        lock_timeout=lock_timeout,
        test_timeout=test_timeout,
        backend=backend,
        debug=options.debug,
        reload=reload,
        refresh=refresh,
        dry_run=dry_run,
        force=force,
    )
    if resume or resume_run_id is not None:
        asked = selection != selection_of(None, None, None) or reload or dry_run or refresh != refresh_of()
        if asked:
            raise typer.BadParameter(
                "--resume goes on with what a run was asked for; give no selectors, --load, --reload, --dry-run, --full-refresh, --max-microbatches or cursors with it"
            )
        return resume_run(options, resume_run_id, run_options, events=events)
    if force:
        raise typer.BadParameter("--force goes with --resume or --resume-run")
    return run_selection(options, selection, run_options, events=events)
