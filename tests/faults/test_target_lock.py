"""Two commands on one target at once, and holders that die: for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

HOLDING = """
    import pathlib, time
    from sqlbuild.tasks import task

    @task
    def first(ctx):
        return {"done": True}

    @task(depends_on=first)
    def hold(ctx):
        pathlib.Path("held").touch()
        while not pathlib.Path("release").exists():
            time.sleep(0.01)
"""
COMMANDS = [
    ("build",),
    ("build", "--dry-run"),
    ("load", "--allow-empty"),
    ("check", "--allow-empty"),
    ("plan",),
    ("query", "SELECT 1"),
    ("clean",),
]


@pytest.fixture
def holder(faulty):
    """A build in the middle of a node, until `release` is there."""
    faulty.write({"tasks/t.py": HOLDING})
    process = faulty.start("build")
    faulty.wait_for(process, "held")
    yield process
    (faulty.root / "release").touch()
    process.kill()
    process.communicate()


def lock_text(faulty):
    return json.loads((faulty.root / "faulty.duckdb.lock").read_text())


def line_of(process, start):
    """The first line that begins so."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            return line
    raise AssertionError(f"no line begins with {start!r}: {lines} {process.stderr.read()}")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_whatever_needs_the_warehouse_waits_and_names_the_holder(faulty, holder, command):
    finished = faulty.sqb(*command, "--lock-timeout", "0.3")
    assert finished.exit_code == 3, finished.output
    run_id = lock_text(faulty)["run_id"]
    held = f"target dev is held by run {run_id} (pid {holder.pid} on {os.uname().nodename}, sqb build, since "
    assert finished.output.count(f"waiting up to 0.3 s: {held}") == 1
    assert f"error[LOCKED] {held}" in finished.stderr
    assert f"`kill {holder.pid}`" in finished.stderr
    assert "Traceback" not in finished.output
    assert holder.poll() is None


def test_without_patience_it_fails_at_once(faulty, holder):
    finished = faulty.sqb("build", "--lock-timeout", "0")
    assert finished.exit_code == 3
    assert "waiting" not in finished.output


def test_programs_get_one_document_and_the_waiting_on_stderr(faulty, holder):
    finished = faulty.sqb("build", "--json", "--lock-timeout", "0.3")
    assert finished.json["error"]["code"] == "LOCKED"
    assert finished.stderr.startswith("waiting up to 0.3 s: target dev is held by run ")
    events = faulty.sqb("build", "--events", "--lock-timeout", "0.3")
    (event,) = map(json.loads, events.stdout.splitlines())
    assert (event["event"], event["timeout"]) == ("waiting_for_target", 0.3)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_waiting_one_takes_over_when_the_holder_is_killed(faulty, holder, backend):
    waiting = faulty.start("build", "--backend", backend)
    assert str(holder.pid) in line_of(waiting, "waiting up to 60 s: ")
    (faulty.root / "release").touch()
    holder.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    line_of(waiting, "run ")
    assert time.monotonic() - killed_at < 15, "it is free at once; the rest is the time that a build takes to begin"
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert not (faulty.root / "faulty.duckdb.lock").exists()


def test_the_waiting_one_goes_on_when_the_holder_ends(faulty, holder):
    waiting = faulty.start("build", "--select", "first")
    line_of(waiting, "waiting ")
    (faulty.root / "release").touch()
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert holder.wait(timeout=30) == 0
    runs = sorted(path.name for path in (faulty.root / "target/runs").iterdir())
    assert f"run {runs[-1]} on target dev" not in runs[0], "the later run has the later name"
    assert list(faulty.root.glob("*.lock")) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_ends_the_waiting_at_once(faulty, holder, backend):
    waiting = faulty.start("build", "--backend", backend)
    line_of(waiting, "waiting ")
    asked = time.monotonic()
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 130, out + err
    assert time.monotonic() - asked < 5
    assert "Traceback" not in out + err
    assert holder.poll() is None
    assert lock_text(faulty)["pid"] == holder.pid


def test_a_stale_text_of_a_reused_number_or_of_another_machine_keeps_nobody_out(faulty):
    faulty.write({"tasks/t.py": "from sqlbuild.tasks import task\n@task\ndef fine(ctx): ...\n"})
    for host in (os.uname().nodename, "another-machine"):
        said = {"pid": os.getpid(), "host": host, "command": "sqb build", "target": "dev", "since": time.time()}
        (faulty.root / "faulty.duckdb.lock").write_text(json.dumps({**said, "run_id": "r1"}))
        finished = faulty.sqb("build", "--lock-timeout", "0")
        assert finished.exit_code == 0, finished.output
        assert "running" not in faulty.sqb("show", "fine").stdout


def test_many_builds_at_once_all_come_to_their_end(faulty):
    faulty.write(
        {
            "tasks/t.py": """
                import pathlib, time
                from sqlbuild.tasks import task

                @task
                def alone(ctx):
                    inside = pathlib.Path("inside")
                    inside.mkdir()
                    time.sleep(0.02)
                    inside.rmdir()
            """
        }
    )
    processes = [faulty.start("build", "-q") for _ in range(6)]
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, out + err
    assert len(list((faulty.root / "target/runs").iterdir())) == 6
    assert list(faulty.root.glob("*.lock")) == []


def test_a_program_that_has_the_database_open_is_named_and_waited_for(faulty):
    faulty.write({"tasks/t.py": "from sqlbuild.tasks import task\n@task\ndef fine(ctx): ...\n"})
    code = "import duckdb, sys; opened = duckdb.connect('faulty.duckdb'); print('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=faulty.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "open\n"
        finished = faulty.sqb("build", "--lock-timeout", "0.3")
        assert finished.exit_code == 3
        assert f"is in use by process {other.pid}" in finished.stderr
        assert list(faulty.root.glob("*.lock")) == []
        waiting = faulty.start("build")
        assert str(other.pid) in line_of(waiting, "waiting ")
    finally:
        other.kill()
        other.communicate()
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err


def test_readers_tell_how_far_a_run_is(faulty, holder):
    run_id = lock_text(faulty)["run_id"]
    as_of = f"run {run_id}, running (sqb build, pid {holder.pid} on {os.uname().nodename}): 1 node done, 1 at work"
    listed = faulty.sqb("list")
    assert (listed.exit_code, listed.stdout, listed.stderr) == (0, "first\nhold\n", f"as of {as_of}\n")
    assert faulty.sqb("dag").stderr == f"as of {as_of}\n"
    shown = faulty.sqb("show", "hold").stdout
    assert "now         running\n" in shown
    assert f"as of       {as_of}\n" in shown
    document = faulty.sqb("show", "first", "--json").json
    assert (document["as_of"], document["run_goes_on"], document["attempt_at_work"]) == (run_id, True, None)
    assert document["results"][0]["payload"] == {"done": True}
    assert faulty.sqb("show", "hold", "--json").json["attempt_at_work"] == 1
    assert faulty.sqb("list", "result:succeeded").stdout == "first\n"
    (faulty.root / "release").touch()
    holder.wait(timeout=30)
    assert "running" not in faulty.sqb("show", "hold").stdout
    assert faulty.sqb("list").stderr == ""


def test_cleaning_leaves_a_run_on_another_target_alone_and_cleaning_everything_refuses(two_targets):
    faulty = two_targets.write({"tasks/t.py": HOLDING})
    holder = faulty.start("build", "--target", "prod")
    try:
        faulty.wait_for(holder, "held")
        (run,) = (faulty.root / "target/runs").iterdir()
        refused = faulty.sqb("clean", "--all", "--yes", "--lock-timeout", "0")
        assert (refused.exit_code, f"target prod is held by run {run.name}" in refused.stderr) == (3, True), refused
        cleaned = faulty.sqb("clean")
        assert cleaned.exit_code == 0, cleaned.output
        assert f"kept target/runs/{run.name}" in cleaned.stdout
        (faulty.root / "release").touch()
        out, err = holder.communicate(timeout=30)
        assert holder.returncode == 0, out + err
    finally:
        holder.kill()
        holder.communicate()


def test_a_database_in_memory_has_no_lock(faulty):
    faulty.write(
        {
            "sqlbuild_project.toml": 'name = "faulty"\n[connections.local]\ndatabase = ":memory:"\n',
            "tasks/t.py": HOLDING,
        }
    )
    one, two = faulty.start("build"), faulty.start("build", "--lock-timeout", "0")
    faulty.wait_for(one, "held")
    (faulty.root / "release").touch()
    for process in (one, two):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    assert not [path.name for path in faulty.root.iterdir() if "memory" in path.name or "lock" in path.name]


def test_a_run_that_goes_on_is_not_gone_on_with(faulty, holder):
    """What `sqb retry` has read before it waited is old once the target is free."""
    waiting = faulty.start("retry")
    line_of(waiting, "waiting ")
    (faulty.root / "release").touch()
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 2, out + err
    assert "has succeeded" in err
    assert holder.wait(timeout=30) == 0
