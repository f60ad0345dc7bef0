from __future__ import annotations

from typing import Annotated

import typer

from sqlbuild.cli.new_project_report import folder_of, report_new_project
from sqlbuild.cli.options import SharedOptions


def playground(
    options: SharedOptions,
    path: Annotated[
        str | None,
        typer.Argument(metavar="[PATH]", help="The folder to make it in; sqlbuild-playground if none is given."),
    ] = None,
) -> int:
    """Make a small working project that shows every kind of node."""
    from sqlbuild.app.new_project import create_playground

    path = folder_of(options, path, "sqlbuild-playground")
    files = create_playground(path)
    steps = (
        "sqb build      runs everything, in about two seconds",
        "README.md      says what each file shows and what to try next",
    )
    return report_new_project(options, path, files, steps)
