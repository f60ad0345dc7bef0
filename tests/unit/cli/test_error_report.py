from __future__ import annotations

import json

import pytest

from sqlbuild.cli.error_report import ErrorReport, error_document, problem_text
from sqlbuild.errors import EngineError, Problem, ProjectError, TargetLocked, WarehouseError, WarehouseUnreachable

UNKNOWN = Problem(
    code="REF", message="no model is called 'x'", help="did you mean 'y'?", path="models/a.sql", line=3, column=7
)


def test_every_problem_is_told_with_place_and_help(capsys):
    error = ProjectError([UNKNOWN, Problem(code="NAME", message="'a' is used twice", path="tasks/t.py")])
    assert ErrorReport().known(error) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "error[REF] models/a.sql:3:7: no model is called 'x'\n"
        "  help: did you mean 'y'?\n"
        "error[NAME] tasks/t.py: 'a' is used twice\n"
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProjectError([]), 2),
        (TargetLocked("held"), 3),
        (WarehouseUnreachable("gone"), 4),
        (EngineError("broken"), 5),
        (WarehouseError("syntax"), 1),
    ],
)
def test_the_exit_code_is_the_errors(error, code, capsys):
    assert ErrorReport().known(error) == code
    assert ErrorReport(json=True).known(error) == code
    capsys.readouterr()


def test_help_is_told_once(capsys):
    ErrorReport().known(WarehouseError("no such table", help="build it first"))
    assert capsys.readouterr().err == "error[SQL] no such table\n  help: build it first\n"


def test_programs_get_one_document(capsys):
    ErrorReport(json=True).known(ProjectError(UNKNOWN))
    told = capsys.readouterr()
    assert told.err == ""
    assert json.loads(told.out) == {
        "schema_version": 1,
        "error": {
            "code": "PROJECT",
            "message": "no model is called 'x'",
            "exit_code": 2,
        },
        "problems": [
            {
                "code": "REF",
                "message": "no model is called 'x'",
                "help": "did you mean 'y'?",
                "path": "models/a.sql",
                "line": 3,
                "column": 7,
                "severity": "error",
            }
        ],
    }


def test_of_several_problems_the_document_says_how_many(capsys):
    ErrorReport(json=True).known(ProjectError([UNKNOWN, UNKNOWN]))
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["message"] == "2 problems"
    assert len(document["problems"]) == 2


def test_only_the_head_is_coloured_and_control_characters_are_escaped():
    problem = Problem(code="X", message="bad \x1b[2J name", severity="warning")
    assert problem_text(problem, colour=True) == "\x1b[33mwarning[X]\x1b[0m bad \\x1b[2J name"
    assert problem_text(problem, colour=False) == "warning[X] bad \\x1b[2J name"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "--json"], ErrorReport(json=True)),
        (["--debug", "build"], ErrorReport(debug=True)),
        (["query", "--", "--json"], ErrorReport()),
    ],
)
def test_what_is_asked_for_is_read_from_the_whole_command_line(arguments, expected):
    assert ErrorReport.asked_for(arguments) == expected


@pytest.fixture
def crash():
    try:
        raise ZeroDivisionError("one over\nnothing")
    except ZeroDivisionError as error:
        return error


def test_a_crash_in_a_project_is_kept_in_target(crash, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sqlbuild_project.toml").touch()
    assert ErrorReport().crash(crash) == 5
    [report] = (tmp_path / "target").glob("crash-*.txt")
    assert "ZeroDivisionError: one over" in report.read_text()
    assert capsys.readouterr().err == (
        "error[CRASH] sqlbuild itself failed: ZeroDivisionError: one over nothing\n"
        f"  help: please report it with target/{report.name}\n"
    )


@pytest.mark.parametrize("case", ["no project", "no target"])
def test_a_crash_elsewhere_is_kept_in_the_temporary_folder(crash, tmp_path, monkeypatch, capsys, case):
    project, temporary = tmp_path / "here", tmp_path / "tmp"
    project.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    if case == "no target":
        (project / "sqlbuild_project.toml").touch()
        (project / "target").touch()
    assert ErrorReport().crash(crash) == 5
    assert len(list(temporary.glob("crash-*.txt"))) == 1
    assert str(temporary) in capsys.readouterr().err


def test_a_crash_that_cannot_be_kept_is_still_told(crash, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere" / "\0"))
    monkeypatch.setattr("os.makedirs", _refuse)
    assert ErrorReport(debug=True).crash(crash) == 5
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert "run it again with --debug" in told


def _refuse(*args: object, **kwargs: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_document_without_problems_is_whole():
    assert error_document([], "ENGINE", "why", 5) == {
        "schema_version": 1,
        "error": {"code": "ENGINE", "message": "why", "exit_code": 5},
        "problems": [],
    }


@pytest.mark.parametrize("report", [ErrorReport(), ErrorReport(json=True), ErrorReport(debug=True)], ids=str)
def test_no_secret_is_told(report, capsys, crash, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sqlbuild_project.toml").touch()
    report.masker.add(["one over", "called"])
    report.known(ProjectError([UNKNOWN, Problem(code="NAME", message="one over another", help="as it is called")]))
    report.known(EngineError("one over\nanother", help="called"))
    report.crash(crash)
    (kept,) = (tmp_path / "target").glob("crash-*.txt")
    told = capsys.readouterr()
    for text in (told.out, told.err, kept.read_text()):
        assert "one over" not in text
        assert "called" not in text
    assert "****" in told.out + told.err
