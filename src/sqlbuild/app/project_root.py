"""Where the project is that a command works on."""

from __future__ import annotations

from sqlbuild.errors import Problem, ProjectError
from sqlbuild.project.find_files import find_project_root


def find_root(start: str) -> str:
    """Absolute path of the project that `start` is in. Raises ProjectError if it is in none."""
    try:
        return find_project_root(start)
    except FileNotFoundError as error:
        gone = Problem(code="NO_PROJECT", message="the working directory is gone", help="go to the project once more")
        raise ProjectError(gone) from error
