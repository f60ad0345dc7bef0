"""What `init` and `playground` say when they are done."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

import typer

from sqlbuild.app.wording import counted
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines

SCHEMA_VERSION = 1


def folder_of(options: SharedOptions, path: str | None, otherwise: str) -> str:
    """The folder that a new project is made in: an argument, or what --project-dir says.

    Raises typer.BadParameter if both are given.
    """
    if path is not None and options.project_dir is not None:
        raise typer.BadParameter("give the folder as PATH or with --project-dir, not both")
    return path or options.project_dir or otherwise


def report_new_project(options: SharedOptions, path: str, files: Sequence[str], steps: Sequence[str]) -> int:
    """Print where the project is and the steps to take next; returns the exit code."""
    root = os.path.abspath(path)
    if options.json:
        write_document({"schema_version": SCHEMA_VERSION, "path": root, "files": list(files)})
        return 0
    go_there = [] if root == os.getcwd() else [f"cd {shlex.quote(os.path.relpath(root))}"]
    lines = [f"made {root} ({counted(len(files), 'file')})"]
    if not options.quiet:
        lines += ["next:", *(f"  {step}" for step in (*go_there, *steps))]
    write_lines(lines)
    return 0
