"""The pytest fixtures of sqlbuild, found by pytest itself (entry point `pytest11`). The only module that needs pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqlbuild.testing.project_folder import ProjectFolder


@pytest.fixture
def sqb_project(tmp_path: Path) -> Callable[[Mapping[str, str] | PathLike[str]], ProjectFolder]:
    """Call it with a mapping of file names and texts, or with the folder of a project: it makes a project of its own of
    that and gives the `ProjectFolder`.

    Texts may be indented as a whole. A `sqlbuild_project.toml` is added if there is none. Of a folder everything is
    copied but what was built. Called again, it writes into the same project.
    """
    # Every pytest session of an environment with sqlbuild loads this module, and most of them do without a project.
    from sqlbuild.testing.project_folder import ProjectFolder

    project = ProjectFolder(tmp_path / "project")

    def make(given: Mapping[str, str] | PathLike[str]) -> ProjectFolder:
        return project.copy(given) if isinstance(given, PathLike) else project.write(given)

    return make
