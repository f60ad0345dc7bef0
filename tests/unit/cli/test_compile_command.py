from __future__ import annotations

import pytest


@pytest.fixture
def project(sqb, tmp_path):
    root = tmp_path / "shop"
    assert sqb("init", str(root)).returncode == 0
    return root


def test_an_empty_project_is_told_where_files_are_looked_for(sqb, project):
    (project / "orders.sql").write_text("SELECT 1 AS order_id")
    told = sqb("compile", cwd=project).stdout.splitlines()
    assert told[0].startswith("0 nodes compiled")
    assert told[1].startswith("nothing was found: models are .sql files in models/")


def test_a_file_outside_of_the_working_directory_is_told_in_full(sqb, project, tmp_path):
    inside = sqb("compile", "--dag-path", "dag.json", cwd=project).stdout
    outside = sqb("compile", "--dag-path", "../dag.json", cwd=project).stdout
    assert inside.endswith("wrote dag.json\n")
    assert outside.endswith(f"wrote {tmp_path / 'dag.json'}\n")
