from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sqlbuild import __version__

COMMANDS = (
    "build",
    "plan",
    "retry",
    "audit",
    "test",
    "check",
    "load",
    "seed",
    "compile",
    "list",
    "show",
    "history",
    "dag",
    "lineage",
    "freshness",
    "query",
    "init",
    "playground",
    "clean",
)


@pytest.mark.parametrize("arguments", [("--version",), ("-V",), ("--no-color", "--version")])
def test_the_version_is_told(sqb, arguments):
    told = sqb(*arguments)
    assert (told.returncode, told.stdout, told.stderr) == (0, f"sqlbuild {__version__}\n", "")


def loaded_by(module: str, *arguments: str, directory: Path | None = None) -> set[str]:
    """Every module that `python -m module` has loaded in the end."""
    command = [sys.executable, "-v", "-m", module, *arguments]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=directory).stderr
    return set(re.findall(r"^import '([^']+)'", shown, re.MULTILINE))


def test_the_version_is_told_without_loading_anything():
    # What Python loads by itself to run a module, with the .pth files of what is installed.
    by_itself = loaded_by("this")
    assert loaded_by("sqlbuild", "--version") - by_itself <= {"__future__", "atexit", "gc", "sqlbuild"}


@pytest.mark.parametrize("arguments", [("--help",), ("build", "--help"), ("playground", "--help")])
def test_help_is_told_without_loading_the_engine_or_other_commands(arguments):
    loaded = loaded_by("sqlbuild", *arguments)
    assert {name.partition(".")[0] for name in loaded} & {
        "anyio", "duckdb", "sqlglot", "rich", "yaml", "asyncio"
    } == set()  # fmt: skip
    commands = {name for name in loaded if name.endswith("_command")}
    assert commands == {f"sqlbuild.cli.{name}_command" for name in arguments if not name.startswith("-")}
    assert loaded & {"sqlbuild.domain.nodes", "sqlbuild.domain.results", "sqlbuild.domain.graph"} == set()


def test_a_build_loads_only_the_libraries_that_its_project_needs(tmp_path):
    (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
    (tmp_path / "models").mkdir()
    # Its columns are left alone: the SQL parser is for what no command has analysed before.
    (tmp_path / "models" / "a.sql").write_text("MODEL (materialized table, sql_analysis false);\nSELECT 1 AS x\n")
    loaded = loaded_by("sqlbuild", "build", directory=tmp_path)
    assert {"sqlbuild.cli.build_command", "sqlbuild.runner.execute_plan", "duckdb"} <= loaded
    assert loaded & {"sqlglot", "asyncpg", "pyarrow", "pandas", "numpy", "fsspec", "rich", "xml.etree", "trio"} == set()
    assert {
        name for name in loaded if name.startswith(("sqlbuild.drivers.postgres", "sqlbuild.warehouses.postgres"))
    } == set()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_without_a_command_the_help_lists_all_of_them(sqb, arguments):
    told = sqb(*arguments)
    assert told.returncode == 0
    listed = [line.split()[0] for line in told.stdout.partition("Commands:\n")[2].splitlines() if line.strip()]
    assert tuple(listed) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_names_a_type_of_python(sqb, command):
    assert "<str>" not in sqb(command, "--help").stdout


@pytest.mark.parametrize("command", [*COMMANDS, "ls"])
def test_each_command_has_help_with_a_sentence_and_the_shared_options(sqb, command):
    told = sqb(command, "--help")
    assert told.returncode == 0
    assert re.match(r"Usage: sqb .*\n\n  [A-Z][a-z].+", told.stdout)
    for option in ("--project-dir", "--target", "--vars", "--json", "--quiet", "--verbose", "--no-color", "--debug"):
        assert option in told.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frob",), "No such command 'frob'"),
        (("biuld",), "Did you mean 'build'"),
        (("build", "--frob"), "No such option: --frob"),
        (("build", "--concurrency", "0"), "0 is not in the range x>=1"),
        (("build", "--threads", "-3"), "-3 is not in the range x>=1"),
        (("build", "--connections", "many"), "'many' is not a valid int"),
        (("build", "--grace", "nan"), "'nan' is not a number of seconds of at least 0"),
        (("build", "--lock-timeout", "-1"), "'-1' is not a number of seconds of at least 0"),
        (("build", "--grace", "soon"), "'soon' is not a number of seconds"),
        (("build", "--backend", "curio"), "'curio' is not one of 'asyncio', 'trio'"),
        (("build", "--vars", "{"), "not JSON"),
        (("build", "--vars", "[1]"), "not a JSON object"),
        (("--vars", "3", "build"), "not a JSON object"),
        (("build", "--events", "--json"), "--json and --events both write to stdout"),
        (("show",), "Missing argument 'NODE'"),
        (("query",), "Missing argument 'SQL'"),
        (("query", "SELECT 1", "--output", "x.xlsx"), "--output takes table, csv, json or a file ending in .parquet"),
        (("query", "SELECT 1", "--limit", "0"), "0 is not in the range x>=1"),
        (("list", "--output", "xml"), "'xml' is not one of 'names', 'table', 'json'"),
        (("dag", "extra"), "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_one_message(sqb, arguments, message):
    told = sqb(*arguments)
    assert told.returncode == 2
    if "--json" in arguments:
        assert message in json.loads(told.stdout)["error"]["message"]
        return
    assert told.stdout == ""
    assert message in told.stderr
    assert "Traceback" not in told.stderr


def test_with_json_a_wrong_command_line_is_one_document(sqb):
    told = sqb("build", "--json", "--zzz")
    assert told.returncode == 2
    assert told.stderr == ""
    document = json.loads(told.stdout)
    assert document["schema_version"] == 1
    assert document["error"] == {"code": "USAGE", "message": "No such option: --zzz", "exit_code": 2}
    assert [problem["code"] for problem in document["problems"]] == ["USAGE"]


@pytest.mark.parametrize("command", ["build", "plan", "load", "compile", "list", "dag", "clean"])
def test_outside_of_a_project_a_command_says_what_to_do(sqb, tmp_path, command):
    told = sqb(command)
    assert told.returncode == 2
    assert told.stderr.startswith("error[NO_PROJECT] ")
    assert "\n  help: " in told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--project-dir", "nowhere", "list"), ("list", "--project-dir", "nowhere")])
def test_the_project_may_be_named_before_and_after_the_command(sqb, arguments):
    told = sqb(*arguments)
    assert told.returncode == 2
    assert "nowhere" in told.stderr


def test_with_json_a_known_error_is_one_document(sqb):
    told = sqb("--json", "compile")
    assert told.returncode == 2
    assert told.stderr == ""
    document = json.loads(told.stdout)
    assert document["error"]["exit_code"] == 2
    assert document["problems"][0]["code"] == "NO_PROJECT"
    assert document["problems"][0]["help"]


def test_debug_adds_the_traceback(sqb):
    told = sqb("compile", "--debug")
    assert told.returncode == 2
    assert told.stderr.startswith("Traceback")
    assert "error[NO_PROJECT]" in told.stderr


def test_a_deleted_working_directory_is_told_in_one_message(sqb, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os, sys; from sqlbuild.cli.main import main; os.rmdir({str(gone)!r}); sys.exit(main(['list']))"
    told = subprocess.run([sys.executable, "-P", "-c", script], cwd=gone, capture_output=True, text=True)
    assert told.returncode == 2
    assert told.stderr.startswith("error[NO_PROJECT] ")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_exit_code(tmp_path, closed):
    told = subprocess.run(
        ["sh", "-c", f'exec "$0" -m sqlbuild init new {closed}', sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0
    assert "Traceback" not in told.stderr
    assert (tmp_path / "new" / "sqlbuild_project.toml").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("argument", ["init", "--help", "--version"])
def test_output_that_is_lost_is_an_error(tmp_path, argument):
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "sqlbuild", argument], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert told.returncode == 5
    assert told.stderr.startswith("error[ENGINE] standard output cannot be written: No space left on device")
    assert "Traceback" not in told.stderr


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    told = subprocess.run(
        ["sh", "-c", '"$0" -m sqlbuild init 2>err | true; cat err', sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert told.stdout == ""


def test_text_that_the_terminal_cannot_show_is_escaped(sqb):
    told = sqb("--project-dir", "h\u00f6fe", "list", env={"PYTHONIOENCODING": "ascii"})
    assert told.returncode == 2
    assert "h\\xf6fe" in told.stderr
