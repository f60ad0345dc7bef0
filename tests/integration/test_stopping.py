"""Signals, sent for real."""

from __future__ import annotations

import signal
import time

import pytest

NODES = """
    import pathlib, time
    import anyio
    from sqlbuild.tasks import task

    for index in range(20):
        @task(name=f"wait_{index}")
        async def wait(ctx, index=index):
            pathlib.Path(f"started_{index}").touch()
            try:
                await anyio.sleep(3600)
            finally:
                pathlib.Path(f"cleaned_{index}").touch()

    @task(depends_on=wait)
    def later(ctx): ...
"""


def wait_for(project, process, *names):
    while not all((project.root / name).exists() for name in names):
        assert process.poll() is None, process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_cancels_cleans_up_and_tells(project, number, code, backend):
    project.write(
        {
            "tasks/t.py": NODES,
            "models/slow.sql": "MODEL (materialized table);\n"
            "SELECT count(*) AS n FROM range(100000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3\n",
        }
    )
    process = project.start("build", "--backend", backend)
    wait_for(project, process, *(f"started_{index}" for index in range(20)))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, out + err
    assert all((project.root / f"cleaned_{index}").exists() for index in range(20))
    statuses = project.statuses()
    assert {statuses[f"task:wait_{index}"] for index in range(20)} == {"cancelled"}
    assert statuses["model:slow"] == "cancelled"
    assert statuses["task:later"] == "not_started"
    assert "Traceback" not in out + err
    stored = project.rows("SELECT count(*) FROM _sqlbuild_node_results WHERE status = 'cancelled'")
    assert stored == [(21,)]


def test_a_second_signal_leaves_at_once(project):
    project.write(
        {
            "tasks/t.py": """
                import pathlib, time
                from sqlbuild.tasks import task

                @task
                def stuck(ctx):
                    pathlib.Path("started").touch()
                    time.sleep(3600)
            """
        }
    )
    process = project.start("build", "--grace", "3600")
    wait_for(project, process, "started")
    process.send_signal(signal.SIGINT)
    while "stopping (SIGINT)" not in (line := process.stdout.readline()):
        assert line, "the run says that it waits"
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - asked < 5
    journal = next((project.root / "target/runs").iterdir()) / "journal.jsonl"
    assert '"unknown"' in journal.read_text()


def test_a_stuck_thread_ends_the_run_after_the_grace_time(project):
    project.write(
        {
            "tasks/t.py": """
                import pathlib, time
                from sqlbuild.tasks import task

                @task
                def stuck(ctx):
                    pathlib.Path("started").touch()
                    time.sleep(3600)
            """
        }
    )
    process = project.start("build", "--grace", "0.2")
    wait_for(project, process, "started")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert project.statuses() == {"task:stuck": "unknown"}
