"""The Python of a project that is being read: opened by whoever needs it first, the macros of its SQL or its nodes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from sqlbuild.authoring.collecting import Collector, adding_to
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem
from sqlbuild.project.import_finder import ProjectFinder, open_finder


@record(frozen=True, slots=True, kw_only=True)
class OpenPython:
    """What stands on the import path, what imports have declared so far, and what was wrong with opening it."""

    finder: ProjectFinder
    collector: Collector
    problems: tuple[Problem, ...]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While code of the project runs: what it prints goes to stderr, the nodes it declares are collected."""
        with adding_to(self.collector), contextlib.redirect_stdout(sys.stderr):
            yield


def open_python(root: str, files: Sequence[str], *, needed: Iterable[str] = (), also: Iterable[str] = ()) -> OpenPython:
    """Put the project at `root` first on the import path.

    `files` are the absolute paths of those that may declare nodes, `needed` further folders directly below `root` with
    code that is needed, `also` those where there may be some. Raises ProjectAlreadyOpen if another project is open in this process.
    """
    finder, problems = open_finder(root, [*files, *(os.path.join(root, folder, "") for folder in needed)], also)
    return OpenPython(finder=finder, collector=Collector(root), problems=tuple(problems))
