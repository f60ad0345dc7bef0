from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sqlbuild.app.opening import open_project
from sqlbuild.app.options import ProjectOptions
from sqlbuild.errors import ProjectError

LOADS = """
import sys
from sqlbuild.cli.main import main

assert main(sys.argv[1:]) == 0
assert "sqlbuild.compiler.compile_project" in sys.modules
running = {"asyncio", "duckdb", "sqlglot", "yaml", "sqlbuild.app.event_loop", "sqlbuild.runner.run_order"}
running |= {"importlib.abc", "importlib.metadata", "sqlbuild.interfaces.loading"}
assert not running & set(sys.modules), running & set(sys.modules)
"""


@pytest.mark.parametrize(
    "command", [["compile"], ["compile", "--dag"], ["list"], ["dag"], ["lineage", "answer"], ["show", "answer"]]
)
def test_a_command_that_runs_nothing_loads_nothing_that_runs_a_project_and_no_reader_of_yaml(
    tmp_path: Path, command: list[str]
):
    (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
    (tmp_path / "tasks").mkdir()
    task = "from sqlbuild.tasks import task\n@task\nasync def answer(ctx): ...\n"
    (tmp_path / "tasks" / "answer.py").write_text(task)
    subprocess.run([sys.executable, "-c", LOADS, *command], check=True, cwd=tmp_path)


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
