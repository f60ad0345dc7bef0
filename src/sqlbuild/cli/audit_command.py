from __future__ import annotations

from typing import Annotated, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.run_selection import refuse_two_documents, run_selection
from sqlbuild.cli.selection_options import AllowEmpty, Exclude, Select, Selectors, selection_of
from sqlbuild.cli.target_options import LockTimeout, finite_seconds


def audit(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    allow_empty: AllowEmpty = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first audit that fails.")] = False,
    connections: Annotated[
        int | None,
        typer.Option("--connections", "--concurrency", min=1, metavar="N", help="Run at most N audits at once."),
    ] = None,
    lock_timeout: LockTimeout = 60.0,
    grace: Annotated[
        float,
        typer.Option(
            parser=finite_seconds, metavar="SECONDS", help="Wait so long for statements when the run is stopped."
        ),
    ] = 10.0,
    backend: Annotated[Literal["asyncio", "trio"], typer.Option(help="The event loop that runs it.")] = "asyncio",
    events: Annotated[bool, typer.Option("--events", help="Print one JSON object per event on stdout.")] = False,
) -> int:
    """Run audits alone, against what exists. A selector means the audits it names and those of the nodes it names."""
    refuse_two_documents(options, events=events)
    from sqlbuild.app.options import RunOptions

    selection = selection_of(selectors, select, exclude, allow_empty=allow_empty, audits_alone=True)
    run_options = RunOptions(
        connections=connections,
        fail_fast=fail_fast,
        grace=grace,
        lock_timeout=lock_timeout,
        command="sqb audit",
        backend=backend,
        debug=options.debug,
    )
    return run_selection(options, selection, run_options, events=events)
