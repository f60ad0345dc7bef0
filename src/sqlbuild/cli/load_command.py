from __future__ import annotations

from typing import Annotated, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.run_selection import refuse_two_documents, run_selection
from sqlbuild.cli.selection_options import AllowEmpty, Exclude, Select, Selectors, selection_of
from sqlbuild.cli.target_options import LockTimeout, finite_seconds


def load(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Tell loaders, by ctx.is_reload, to load everything again.")
    ] = False,
    allow_empty: AllowEmpty = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first loader that fails.")] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most N async loaders at once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run at most N def loaders at once.")] = None,
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
    """Run loaders alone, with whatever they need and the target lacks. A source's name means its loader."""
    refuse_two_documents(options, events=events)
    from sqlbuild.app.options import RunOptions

    selection = selection_of(selectors, select, exclude, allow_empty=allow_empty, load=True, loaders_alone=True)
    run_options = RunOptions(
        concurrency=concurrency,
        threads=threads,
        connections=connections,
        fail_fast=fail_fast,
        grace=grace,
        lock_timeout=lock_timeout,
        command="sqb load",
        backend=backend,
        debug=options.debug,
        reload=reload,
    )
    return run_selection(options, selection, run_options, events=events)
