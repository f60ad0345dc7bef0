"""What a build loads: parts that no node of its plan needs would be a fifth of its time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import sys
from sqlbuild.cli.main import main

assert main(["build", "--quiet", *sys.argv[1:]]) == 0
print(*sys.modules)
"""
OF_SOME_RUNS = {
    "pickle",
    "sqlbuild.runner.exporting.leftovers",
    "sqlbuild.runner.exporting.node_exports",
    "sqlbuild.runner.exporting.partitions",
    "sqlbuild.runner.isolated",
    "sqlbuild.runner.kinds.incremental_model",
    "sqlbuild.runner.kinds.loader",
    "sqlbuild.runner.kinds.seed",
    "sqlbuild.runner.kinds.sql_function",
    "sqlbuild.runner.kinds.unit_test",
    "sqlbuild.warehouses.duckdb_comparing",
    "sqlbuild.warehouses.duckdb_copying",
    "sqlbuild.warehouses.duckdb_deltas",
    "sqlbuild.warehouses.duckdb_functions",
    "sqlbuild.warehouses.duckdb_loading",
    "sqlbuild.warehouses.duckdb_staging",
}
OF_RUNS_WITH_NODES = {"sqlbuild.runner.execute_plan", "sqlbuild.runner.node_flow", "sqlbuild.runner.attempts"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "orders.sql").write_text("MODEL (materialized view);\nSELECT 1 AS id\n")
    return tmp_path


def test_a_build_of_views_loads_nothing_for_seeds_exports_audits_and_growing_tables(project):
    loaded(project)
    again = loaded(project)
    assert OF_SOME_RUNS & again == set()
    assert "sqlbuild.runner.execute_plan" in again


def test_a_build_with_nothing_to_do_loads_nothing_that_runs_nodes(project):
    loaded(project)
    assert (OF_SOME_RUNS | OF_RUNS_WITH_NODES) & loaded(project, "--changed") == set()


def loaded(project: Path, *options: str) -> set[str]:
    command = [sys.executable, "-c", LOADED, *options]
    return set(subprocess.run(command, check=True, cwd=project, capture_output=True, text=True).stdout.split())
