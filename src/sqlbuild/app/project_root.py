"""Where the project is that a command works on."""

from __future__ import annotations

from sqlbuild.project.find_files import find_project_root


def find_root(start: str) -> str:
    """Absolute path of the project that `start` is in. Raises ProjectError if it is in none."""
    return find_project_root(start)
