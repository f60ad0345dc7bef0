from __future__ import annotations

from typing import Annotated, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.run_selection import refuse_two_documents, resume_run
from sqlbuild.cli.target_options import LockTimeout, finite_seconds


def retry(
    options: SharedOptions,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="This run, not the last one.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although a later run has written some of its nodes.")
    ] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop the run at the first failure.")] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most N async nodes at once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run at most N def nodes at once.")] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most N SQL statements at once.")
    ] = None,
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
    """Go on with the last run that did not succeed: what failed, was stopped or never began, and what depends on it."""
    refuse_two_documents(options, events=events)
    from sqlbuild.app.options import RunOptions

    run_options = RunOptions(
        concurrency=concurrency,
        threads=threads,
        connections=connections,
        fail_fast=fail_fast,
        grace=grace,
        lock_timeout=lock_timeout,
        command="sqb retry",
        backend=backend,
        debug=options.debug,
        force=force,
    )
    return resume_run(options, run, run_options, events=events)
