from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sqlbuild.app.operations import open_project
from sqlbuild.app.options import ProjectOptions
from sqlbuild.errors import ProjectError


def test_a_project_on_postgres_says_what_to_install_where_asyncpg_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = 'name = "shop"\nadapter = "postgres"\n[connections.db]\nhost = "db"\n'
    (tmp_path / "sqlbuild_project.toml").write_text(settings)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ProjectError) as found:
        open_project(ProjectOptions(root=str(tmp_path)))
    assert [(problem.code, problem.help) for problem in found.value.problems] == [
        ("EXTRA", "pip install 'sqlbuild[postgres]'")
    ]
