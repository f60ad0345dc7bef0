"""init and playground: where they make what they make."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("command", ["init", "playground"])
@pytest.mark.parametrize("before", [True, False])
def test_a_new_project_is_made_where_project_dir_says(sqb, tmp_path, command, before):
    option = ("--project-dir", "new")
    told = sqb(*option, command) if before else sqb(command, *option)
    assert told.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new" / "sqlbuild_project.toml").exists()


def test_a_folder_is_given_once(sqb, tmp_path):
    told = sqb("init", "here", "--project-dir", "there")
    assert told.returncode == 2
    assert "give the folder as PATH or with --project-dir, not both" in told.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_folder_a_project_is_made_in_this_one(sqb, tmp_path):
    assert sqb("init").returncode == 0
    assert (tmp_path / "sqlbuild_project.toml").exists()


def test_a_playground_has_a_folder_of_its_own(sqb, tmp_path):
    assert sqb("playground").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sqlbuild-playground"]
