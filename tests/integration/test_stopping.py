"""Signals, sent for real."""

from __future__ import annotations

import signal
import subprocess
import sys
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


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_signals_end_a_run_whose_event_loop_is_blocked(project, backend):
    project.write(
        {
            "tasks/t.py": """
                import pathlib, time
                from sqlbuild.tasks import task

                @task
                async def blocks(ctx):
                    pathlib.Path("started").touch()
                    time.sleep(3600)
            """
        }
    )
    process = project.start("build", "--backend", backend)
    wait_for(project, process, "started")
    # Signals of the same number that arrive together are one.
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = process.communicate(timeout=1)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    journal = next((project.root / "target/runs").iterdir()) / "journal.jsonl"
    assert '"unknown"' in journal.read_text()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nodes_that_swallow_cancellation_do_not_hold_up_the_end(project, backend):
    project.write(
        {
            "tasks/t.py": """
                import pathlib
                import anyio
                from sqlbuild.tasks import task

                @task
                async def swallows(ctx):
                    pathlib.Path("started").touch()
                    while True:
                        try:
                            await anyio.sleep(1)
                        except BaseException:
                            pass

                @task(depends_on=swallows)
                async def child(ctx): ...
            """
        }
    )
    process = project.start("build", "--backend", backend, "--grace", "0.2")
    wait_for(project, process, "started")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert project.statuses() == {"task:swallows": "unknown", "task:child": "blocked"}
    assert project.rows("SELECT count(*) FROM _sqlbuild_node_results") == [(2,)]


def test_a_task_that_a_node_leaves_behind_does_not_hold_up_the_end(project):
    project.write(
        {
            "tasks/t.py": """
                import asyncio
                from sqlbuild.tasks import task

                left = []

                @task
                async def leaves(ctx):
                    async def forever():
                        while True:
                            try:
                                await asyncio.sleep(1)
                            except BaseException:
                                pass

                    left.append(asyncio.create_task(forever()))
                    await asyncio.sleep(0)
            """
        }
    )
    finished = project.sqb("build", timeout=30)
    assert finished.code == 5
    assert "1 asyncio task" in finished.everything
    assert project.statuses() == {"task:leaves": "succeeded"}


def test_leaving_the_process_in_a_task_of_a_node_is_never_a_success(project):
    project.write(
        {
            "tasks/t.py": """
                import asyncio, sys
                from sqlbuild.tasks import task

                @task
                async def leaves(ctx):
                    async def leave():
                        sys.exit(0)

                    async with asyncio.TaskGroup() as group:
                        group.create_task(leave())
            """
        }
    )
    finished = project.sqb("build", timeout=30)
    assert finished.code == 5
    assert "sys.exit(0)" in finished.err


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_stops_a_build_from_python_and_goes_on(project, backend):
    project.write(
        {
            "tasks/t.py": NODES,
            "script.py": f"""
                import sqlbuild

                try:
                    sqlbuild.build(".", backend={backend!r})
                except KeyboardInterrupt:
                    print("interrupted")
            """,
        }
    )
    process = subprocess.Popen([sys.executable, "script.py"], cwd=project.root, stdout=subprocess.PIPE, text=True)
    wait_for(project, process, *(f"started_{index}" for index in range(20)))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "interrupted\n")
    assert all((project.root / f"cleaned_{index}").exists() for index in range(20))
    assert set(project.statuses().values()) == {"cancelled", "not_started"}


def test_ctrl_c_is_not_lost_where_python_drops_it(project):
    project.write(
        {
            "tasks/t.py": """
                import os, signal
                from sqlbuild.tasks import task

                class Closed:
                    def __del__(self):
                        os.kill(os.getpid(), signal.SIGINT)

                closed = Closed()
                del closed

                @task
                def never(ctx):
                    open("ran", "w").close()
                """
        }
    )
    stopped = project.sqb("build")
    assert stopped.code == 130, stopped.everything
    assert not (project.root / "ran").exists()
