"""Finds the project root and the files of each kind below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sqlbuild.domain.record import record
from sqlbuild.errors import Problem, ProjectError
from sqlbuild.project.settings_file import PROJECT_FILE

_SUFFIXES = {
    "models": (".sql",),
    "sources": (".yml", ".yaml"),
    "seeds": (".csv", ".yml", ".yaml"),
    "functions": (".sql", ".py"),
    "assets": (".py",),
    "tasks": (".py",),
    "loaders": (".py",),
    "checks": (".py",),
    "python": (".py",),
    "providers": (".py",),
    "tests/unit": (".sql",),
}
_PYTHON_FOLDERS = ("assets", "tasks", "loaders", "checks", "python")


@record(frozen=True, slots=True, kw_only=True)
class ProjectFiles:
    """Sorted paths relative to the root, with forward slashes."""

    models: tuple[str, ...]
    sources: tuple[str, ...]
    python: tuple[str, ...]
    """Those that may declare nodes."""
    providers: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    """CSV files, and the YAML files that declare them."""
    tests: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


def find_project_root(start: str) -> str:
    """The folder `start` or the nearest one above it that holds a project. Raises ProjectError if there is none."""
    folder = Path(start).absolute()
    if not folder.is_dir():
        raise ProjectError(
            Problem(code="NO_PROJECT", message=f"{folder} is no folder", help="give the folder of a project")
        )
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return str(candidate)
    raise ProjectError(
        Problem(
            code="NO_PROJECT",
            message=f"there is no {PROJECT_FILE} in {folder} or a folder above it",
            help="go to a project, or make one: sqb init",
        )
    )


def find_files(root: str, problems: list[Problem]) -> ProjectFiles:
    """All files that declare something. Files and folders that begin with `_` or a dot are left out."""
    found = {folder: sorted(walk_files(root, folder, _SUFFIXES[folder], problems)) for folder in _SUFFIXES}
    return ProjectFiles(
        models=tuple(found["models"]),
        sources=tuple(found["sources"]),
        python=tuple(path for folder in _PYTHON_FOLDERS for path in found[folder]),
        providers=tuple(found["providers"]),
        seeds=tuple(found["seeds"]),
        tests=tuple(found["tests/unit"]),
        functions=tuple(found["functions"]),
    )


def walk_files(root: str, top: str, suffixes: tuple[str, ...], problems: list[Problem]) -> Iterator[str]:
    """The files below the folder `top` of the project whose names end in one of `suffixes`; nothing if there is no such folder.

    Each real folder is walked once: real ones first, so that a link to one of them adds nothing."""
    waiting, linked = [top], list[str]()
    seen: set[tuple[int, int]] = set()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop()
        try:
            facts = os.stat(os.path.join(root, folder))
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(os.path.join(root, folder)) as entries:
                listed = [entry for entry in entries if entry.name[0] not in "._"]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            problems.append(
                Problem(
                    code="FILE",
                    message=f"the folder cannot be read: {error.strerror}",
                    help="check that you may read it",
                    path=folder,
                )
            )
            continue
        for entry in listed:
            path = f"{folder}/{entry.name}"
            if entry.is_dir():
                (linked if entry.is_symlink() else waiting).append(path)
            elif entry.name.endswith(suffixes) and _is_readable_name(path, problems) and _is_file(entry):
                yield path


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Also links to nothing, so that they are reported; not pipes and devices, which would be waited for."""
    return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())


def _is_readable_name(path: str, problems: list[Problem]) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
        problems.append(Problem(code="FILE", message=f"the name of the file is not UTF-8: {shown}", help="rename it"))
        return False
    return True
