from __future__ import annotations

from typing import Annotated

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines

SCHEMA_VERSION = 1


def clean(
    options: SharedOptions,
    everything: Annotated[bool, typer.Option("--all", help="Remove what unfinished runs have left too.")] = False,
) -> int:
    """Remove what earlier commands left behind. That is target/ and temporary relations of dead runs."""
    from sqlbuild.app import operations
    from sqlbuild.cli.open_project import project_options

    report = operations.clean(project_options(options), everything=everything)
    if options.json:
        document = {"schema_version": SCHEMA_VERSION, "removed": list(report.removed), "kept": list(report.kept)}
        write_document(document)
    elif not options.quiet:
        lines = [f"removed {path}" for path in report.removed] or ["nothing to remove"]
        write_lines([*lines, *(f"kept {path}" for path in report.kept)])
    return 0
