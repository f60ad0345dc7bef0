"""What a build prints where, on a small project."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest

TASKS = """
from sqlbuild.tasks import task

@task
async def begin(ctx):
    ctx.log("hello", rows=3)
    return {"rows": 3}

@task(depends_on=begin)
def end(ctx):
    if ctx.vars.get("broken"):
        raise ValueError("as asked for")

@task(depends_on=end)
def after(ctx): ...
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "t.py").write_text(TASKS)
    return tmp_path


def results(project):
    return json.loads((project / "target" / "run_results.json").read_text())


def test_without_a_terminal_each_node_is_a_line(sqb, project):
    told = sqb("build")
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()
    assert lines[0].endswith("on target dev: 3 nodes (3 tasks)")
    assert "hello" not in told.stdout
    assert "     info        begin: hello rows=3" in sqb("build", "--verbose").stdout.splitlines()
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["1/3", "succeeded", "task", "begin"],
        ["2/3", "succeeded", "task", "end"],
        ["3/3", "succeeded", "task", "after"],
    ]
    assert lines[-1].startswith("done in ")
    assert "\x1b" not in told.stdout


def test_a_failure_ends_with_1_and_says_what_to_do(sqb, project):
    told = sqb("build", "--vars", '{"broken": true}')
    assert told.returncode == 1
    assert "2/3  failed      task end" in told.stdout
    assert "tasks/t.py:12: ValueError: as asked for" in told.stdout
    assert "blocked 1: after" in told.stdout
    assert "next: sqb retry " in told.stdout
    again = sqb("build", "--select", "result:failed+")
    assert again.returncode == 0
    assert "2 succeeded" in again.stdout


def test_quiet_says_the_outcome_only(sqb, project):
    told = sqb("-q", "build")
    assert told.returncode == 0
    assert [line.partition(" in ")[0] for line in told.stdout.splitlines()] == ["done"]


def test_json_is_one_document_the_same_as_the_file(sqb, project):
    told = sqb("build", "--json")
    assert (told.returncode, told.stderr) == (0, "")
    assert json.loads(told.stdout) == results(project)


def test_events_are_one_document_a_line(sqb, project):
    told = sqb("build", "--events")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert [event["event"] for event in events if event.get("node") in (None, "task:begin")] == [
        "run_started", "node_started", "node_logged", "node_finished", "run_finished",
    ]  # fmt: skip
    assert events[-1]["counts"] == {"succeeded": 3}
    assert all(event["schema_version"] == 1 for event in events)


@pytest.mark.parametrize("flag", [(), ("--json",), ("--events",)])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_output_does_not_change_how_the_run_ends(project, flag):
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "sqlbuild", "build", *flag],
            cwd=project,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert told.returncode == 0
    assert told.stderr.count("No space left on device") == 1
    assert "Traceback" not in told.stderr
    assert results(project)["counts"] == {"succeeded": 3}


@pytest.mark.parametrize("flag", [(), ("--json",), ("--events",)])
def test_a_reader_that_has_gone_does_not_change_how_the_run_ends(project, flag):
    process = subprocess.Popen(
        [sys.executable, "-m", "sqlbuild", "build", *flag],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait(timeout=60) == 0
    process.stderr.close()
    assert told == ""
    assert results(project)["counts"] == {"succeeded": 3}


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_do_not_change_how_the_run_ends(project, closed):
    command = f'exec "$0" -m sqlbuild build {closed}'
    assert subprocess.run(["sh", "-c", command, sys.executable], cwd=project, capture_output=True).returncode == 0
    assert results(project)["counts"] == {"succeeded": 3}


def test_selectors_may_be_arguments_options_or_both(sqb, project):
    told = sqb("build", "begin", "--select", "+end", "--exclude", "begin", "--json", "--allow-empty")
    assert told.returncode == 2
    assert "begin" in json.loads(told.stdout)["error"]["message"]
    told = sqb("build", "begin", "--select", "end", "--json")
    assert [result["name"] for result in json.loads(told.stdout)["results"]] == ["begin", "end"]


def test_an_empty_selection_is_an_error_unless_allowed(sqb, project):
    told = sqb("build", "task:*", "--exclude", "task:*")
    assert told.returncode == 2
    assert told.stderr.startswith("error[SELECT]")
    told = sqb("build", "task:*", "--exclude", "task:*", "--allow-empty")
    assert told.returncode == 0
    assert told.stdout.splitlines()[-1].endswith("nothing to run")


def test_options_before_the_command_work_from_another_folder(sqb, project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    told = sqb("--project-dir", str(project), "--json", "build", cwd=elsewhere)
    assert told.returncode == 0
    assert results(project)["counts"] == {"succeeded": 3}
    assert list(elsewhere.iterdir()) == []
    assert sqb("build", "-q", cwd=project / "tasks").returncode == 0


def test_the_grace_and_the_limits_are_taken(sqb, project):
    arguments = ("--concurrency", "1", "--threads", "1", "--connections", "1", "--grace", "0.5", "--fail-fast")
    assert sqb("build", *arguments, "--no-tests", "--no-audits", "--lock-timeout", "0").returncode == 0


def test_a_slow_reader_gets_the_whole_output(project):
    """The pipe is full long before the end; the run goes on and its output waits for the reader."""
    long_log = "\n    for number in range(2_000):\n        ctx.log(f'line {number} ' + 60 * 'x')"
    (project / "tasks" / "t.py").write_text(TASKS.replace('\n    ctx.log("hello", rows=3)', long_log))
    process = subprocess.Popen(
        [sys.executable, "-m", "sqlbuild", "build", "--verbose"], cwd=project, stdout=subprocess.PIPE, text=True
    )
    while not (project / "target" / "run_results.json").exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
            break
    assert process.poll() is None
    assert results(project)["counts"] == {"succeeded": 3}
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert told.count("line ") == 2_000
    assert told.splitlines()[-1].startswith("done in ")


PRINTING = """
import logging, sys
from sqlbuild.tasks import task

print("while importing")

@task
async def talk(ctx):
    print("printed")
    print("to stderr", file=sys.stderr)
    logging.getLogger("library").warning("logged")

@task
def talk_too(ctx):
    print("printed by a thread")
"""


def test_what_nodes_print_is_told_by_node_and_never_mixed_into_a_document(sqb, project):
    (project / "tasks" / "t.py").write_text(PRINTING)
    assert "     warning     talk: logged" in sqb("build").stdout.splitlines()
    lines = sqb("build", "--verbose").stdout.splitlines()
    for line in ("print       talk: printed", "stderr      talk: to stderr", "warning     talk: logged"):
        assert f"     {line}" in lines
    assert "     print       talk_too: printed by a thread" in lines
    for flag in ("--json", "--events"):
        told = sqb("build", flag)
        assert told.stderr == "while importing\n"
        for line in told.stdout.splitlines():
            json.loads(line)
    assert sqb("list", "--json").stdout.startswith("{")
