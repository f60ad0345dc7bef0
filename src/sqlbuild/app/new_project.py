"""Writes new projects from the templates of the package."""

from __future__ import annotations

import importlib.resources
import os
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Literal

from sqlbuild.errors import Problem, ProjectError

_SETTINGS_FILE = "sqlbuild_project.toml"
_HIDDEN = {"gitignore": ".gitignore", "gitkeep": ".gitkeep"}
"""Stored without their dot, so that they do not act inside the package."""


def create_project(path: str) -> tuple[str, ...]:
    """Make an empty project in the folder `path`, which is named after it; returns the files, relative to it.

    Files that are there already stay as they are. Raises ProjectError if there is a project already or the folder
    cannot be written.
    """
    root = os.path.abspath(path)
    if os.path.lexists(os.path.join(root, _SETTINGS_FILE)):
        raise _problem(f"{root} is a project already", "choose another folder, or run `sqb compile` in this one")
    return _write("init", root, {"{{name}}": project_name(root)})


def create_playground(path: str) -> tuple[str, ...]:
    """Make a project that shows every kind of node in the folder `path`; returns the files, relative to it.

    Raises ProjectError if the folder holds anything but hidden files or cannot be written.
    """
    root = os.path.abspath(path)
    if os.path.isdir(root) and any(not name.startswith(".") for name in os.listdir(root)):
        raise _problem(f"{root} is not empty", "choose a folder that is new or empty: sqb playground PATH")
    return _write("playground", root, {})


def project_name(root: str) -> str:
    """A project name out of the folder's name: lowercase letters, digits and underscores, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "_", os.path.basename(root).lower()).strip("_")
    return name if name[:1].isalpha() else f"project_{name}".strip("_")


def _write(template: Literal["init", "playground"], root: str, values: dict[str, str]) -> tuple[str, ...]:
    written: list[str] = []
    try:
        for relative, file in _files(importlib.resources.files("sqlbuild.app") / "templates" / template):
            path = os.path.join(root, relative)
            if os.path.lexists(path):
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            text = file.read_text(encoding="utf-8")
            for placeholder, value in values.items():
                text = text.replace(placeholder, value)
            with open(path, "x", encoding="utf-8", newline="\n") as new:
                new.write(text)
            written.append(relative)
    except OSError as error:
        place = error.filename or root
        raise _problem(
            f"{place} cannot be written: {error.strerror}", "choose a folder that you may write to"
        ) from error
    return tuple(written)


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    """Every file below `folder` with the path it gets, in a fixed order."""
    for entry in sorted(folder.iterdir(), key=lambda found: found.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(".pyc"):
            yield prefix + _HIDDEN.get(entry.name, entry.name), entry


def _problem(message: str, help: str) -> ProjectError:
    return ProjectError(Problem(code="NEW_PROJECT", message=message, help=help))
