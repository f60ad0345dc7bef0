from __future__ import annotations

import os
from pathlib import Path

import pytest

from sqlbuild.errors import ProjectError
from sqlbuild.project.find_files import ProjectFiles, find_files, find_project_root


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")


def test_files_are_found_by_kind_and_sorted(tmp_path: Path):
    make(
        tmp_path,
        *("models/b.sql", "models/a/z.sql", "models/a/a.sql", "models/a.sql", "models/readme.md", "models/a/x.py"),
        *("sources/b.yaml", "sources/a.yml", "sources/x/c.yml", "sources/d.sql"),
        *("tasks/b.py", "assets/a/c.py", "loaders/a.py", "checks/a.py", "python/assets/x.py", "macros/m.py"),
        *("other/a.sql", "target/models/a.sql", "a.sql"),
    )
    problems = []
    assert find_files(str(tmp_path), problems) == ProjectFiles(
        models=("models/a.sql", "models/a/a.sql", "models/a/z.sql", "models/b.sql"),
        sources=("sources/a.yml", "sources/b.yaml", "sources/x/c.yml"),
        python=("assets/a/c.py", "tasks/b.py", "loaders/a.py", "checks/a.py", "python/assets/x.py"),
    )
    assert problems == []


def test_an_empty_project_has_no_files(tmp_path: Path):
    make(tmp_path, "models")
    assert find_files(str(tmp_path), []) == ProjectFiles(models=(), sources=(), python=())


def test_names_that_begin_with_an_underscore_or_a_dot_are_left_out(tmp_path: Path):
    make(tmp_path, "models/_a.sql", "models/.b.sql", "models/_sqlbuild/c.sql", "models/.git/d.sql", "tasks/__init__.py")
    assert find_files(str(tmp_path), []) == ProjectFiles(models=(), sources=(), python=())


def test_links_are_followed_but_not_in_circles(tmp_path: Path):
    make(tmp_path / "elsewhere", "shared.sql", "deep/x.sql")
    make(tmp_path, "models/a/own.sql")
    (tmp_path / "models/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "models/a/up").symlink_to(tmp_path / "models")
    (tmp_path / "elsewhere/self").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "models/again").symlink_to(tmp_path / "models/a")
    (tmp_path / "models/file.sql").symlink_to(tmp_path / "elsewhere/shared.sql")
    assert find_files(str(tmp_path), []).models == (
        "models/a/own.sql",
        "models/file.sql",
        "models/link/deep/x.sql",
        "models/link/shared.sql",
    )


def test_a_link_to_nothing_is_found_and_a_pipe_is_not(tmp_path: Path):
    make(tmp_path, "models/a.sql")
    (tmp_path / "models/gone.sql").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "models/pipe.sql")
    assert find_files(str(tmp_path), []).models == ("models/a.sql", "models/gone.sql")


def test_a_name_that_is_not_utf_8_is_a_problem(tmp_path: Path):
    make(tmp_path, "models/a.sql", "models/é b.sql")
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/models/x\xff.sql")).write_text("")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    problems = []
    assert find_files(str(tmp_path), problems).models == ("models/a.sql", "models/é b.sql")
    assert [str(problem) for problem in problems] == [
        "error[FILE] the name of the file is not UTF-8: models/x\\xff.sql\n  help: rename it"
    ]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_a_problem(tmp_path: Path):
    make(tmp_path, "models/secret/a.sql")
    (tmp_path / "models/secret").chmod(0)
    problems = []
    find_files(str(tmp_path), problems)
    (tmp_path / "models/secret").chmod(0o700)
    assert str(problems[0]).startswith("error[FILE] models/secret: the folder cannot be read: Permission denied")


def test_the_root_is_the_folder_or_one_above_it(tmp_path: Path):
    make(tmp_path, "sqlbuild_project.toml", "models/a/b.sql")
    assert find_project_root(str(tmp_path)) == str(tmp_path)
    assert find_project_root(str(tmp_path / "models/a")) == str(tmp_path)


def test_a_relative_start_gives_an_absolute_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "sqlbuild_project.toml")
    monkeypatch.chdir(tmp_path)
    assert find_project_root(".") == str(tmp_path)


def test_no_project_is_told_with_the_way_to_make_one(tmp_path: Path):
    with pytest.raises(ProjectError) as caught:
        find_project_root(str(tmp_path))
    assert str(caught.value) == (
        f"error[NO_PROJECT] there is no sqlbuild_project.toml in {tmp_path} or a folder above it\n"
        "  help: go to a project, or make one: sqb init"
    )


def test_a_start_that_is_no_folder_is_told(tmp_path: Path):
    with pytest.raises(ProjectError, match="is no folder"):
        find_project_root(str(tmp_path / "gone"))
