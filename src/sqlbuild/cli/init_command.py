from __future__ import annotations

from typing import Annotated

import typer

from sqlbuild.cli.new_project_report import folder_of, report_new_project
from sqlbuild.cli.options import SharedOptions


def init(
    options: SharedOptions,
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="The folder to make it in; this one if none is given.")
    ] = None,
) -> int:
    """Make an empty project. Settings, folders and a .gitignore; nothing that is there is touched."""
    from sqlbuild.app.new_project import create_project

    path = folder_of(options, path, ".")
    files = create_project(path)
    steps = (
        "put a model into models/ (a .sql file) and an asset into assets/ (a .py file)",
        "sqb compile    checks everything without running it",
        "sqb build      runs it",
        "sqb playground shows a project in which every kind of node is used",
    )
    return report_new_project(options, path, files, steps)
