from __future__ import annotations

import tomllib

import pytest

from sqlbuild.app.new_project import create_playground, create_project, project_name
from sqlbuild.errors import ProjectError


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("My Shop-2", "my_shop_2"),
        ("2024-sales", "project_2024_sales"),
        ("日本", "project"),
        ("__x__", "x"),
        ("a.b", "a_b"),
    ],
)
def test_a_project_is_named_after_its_folder(folder, name):
    assert project_name(f"/somewhere/{folder}") == name


def test_an_empty_project_has_settings_folders_and_a_gitignore(tmp_path):
    files = create_project(str(tmp_path / "my-shop"))
    assert files == (
        "assets/.gitkeep",
        ".gitignore",
        "models/marts/.gitkeep",
        "models/staging/.gitkeep",
        "sources/.gitkeep",
        "sqlbuild_project.toml",
        "tasks/.gitkeep",
    )
    settings = tomllib.loads((tmp_path / "my-shop" / "sqlbuild_project.toml").read_text())
    assert settings["name"] == "my_shop"
    assert settings["connections"]["local"]["database"] == "my_shop.duckdb"
    ignored = (tmp_path / "my-shop" / ".gitignore").read_text().split()
    assert {"target/", "sqlbuild_local.toml", "*.duckdb"} <= set(ignored)


def test_what_is_there_already_stays(tmp_path):
    (tmp_path / ".gitignore").write_text("mine\n")
    (tmp_path / "models").mkdir()
    files = create_project(str(tmp_path))
    assert ".gitignore" not in files
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_second_project_in_the_same_folder_is_refused(tmp_path):
    create_project(str(tmp_path))
    with pytest.raises(ProjectError, match="is a project already") as refused:
        create_project(str(tmp_path))
    assert refused.value.problems[0].help


def test_a_playground_wants_an_empty_folder(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env").touch()
    assert "README.md" in create_playground(str(tmp_path))
    with pytest.raises(ProjectError, match="is not empty"):
        create_playground(str(tmp_path))


def test_a_playground_has_a_file_of_every_kind_and_explains_them_all(tmp_path):
    files = create_playground(str(tmp_path / "deep" / "er"))
    readme = (tmp_path / "deep" / "er" / "README.md").read_text()
    for file in files:
        if file.endswith((".py", ".yml", ".toml")) and file != "README.md":
            assert file in readme, file
    assert {file.partition("/")[0] for file in files} >= {
        "sources",
        "models",
        "tasks",
        "assets",
        "checks",
        "loaders",
        "seeds",
        "functions",
        "macros",
        "hooks",
        "audits",
        "tests",
    }
    assert not any(file.endswith((".pyc", "gitignore_")) or "__pycache__" in file for file in files)


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "taken").touch()
    for create in (create_project, create_playground):
        with pytest.raises(ProjectError, match="cannot be written"):
            create(str(tmp_path / "taken" / "project"))
