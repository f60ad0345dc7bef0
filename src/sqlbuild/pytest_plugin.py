"""The pytest fixtures of sqlbuild, found by pytest itself (entry point `pytest11`). The only module that needs pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqlbuild.testing.project_folder import ProjectFolder


@pytest.fixture
def sqb_project(tmp_path: Path) -> Callable[[Mapping[str, str]], ProjectFolder]:
    """Call it with a mapping of file names and texts: it writes them as a project and gives the `ProjectFolder`.

    Texts may be indented as a whole. A `sqlbuild_project.toml` is added if there is none. Called again, it writes into
    the same project.
    """
    # Every pytest session of an environment with sqlbuild loads this module, and most of them do without a project.
    from sqlbuild.testing.project_folder import ProjectFolder

    project = ProjectFolder(tmp_path / "project")

    def write(files: Mapping[str, str]) -> ProjectFolder:
        return project.write(files)

    return write
