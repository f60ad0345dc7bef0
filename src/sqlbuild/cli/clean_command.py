from __future__ import annotations

from typing import Annotated

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines
from sqlbuild.cli.target_options import LockTimeout, patience_of

SCHEMA_VERSION = 1


def clean(
    options: SharedOptions,
    everything: Annotated[bool, typer.Option("--all", help="Remove what unfinished runs have left too.")] = False,
    lock_timeout: LockTimeout = 60.0,
) -> int:
    """Remove what earlier commands left behind. That is target/ and temporary relations of dead runs."""
    from sqlbuild.app import operations
    from sqlbuild.cli.open_project import project_options

    patience = patience_of(options, lock_timeout)
    report = operations.clean(project_options(options), everything=everything, patience=patience)
    if options.json:
        document = {"schema_version": SCHEMA_VERSION, "removed": list(report.removed), "kept": list(report.kept)}
        write_document(document)
    elif not options.quiet:
        lines = [f"removed {path}" for path in report.removed] or ["nothing to remove"]
        write_lines([*lines, *(f"kept {path}" for path in report.kept)])
    return 0
