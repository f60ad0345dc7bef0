"""Worker processes end when they must, with all that their nodes have started."""

from __future__ import annotations

import os
import signal
import time

import pytest

BUSY = """
    import ctypes, os, pathlib, signal, subprocess, time
    from sqlbuild.tasks import task

    def begin(name):
        pathlib.Path(f"{name}.pid").write_text(str(os.getpid()))
        child = subprocess.Popen(["sleep", "3600"])
        pathlib.Path(f"{name}.child").write_text(str(child.pid))
        pathlib.Path(f"{name}.begun").touch()

    @task(isolate="process")
    def sleeps(ctx):
        begin("sleeps")
        try:
            time.sleep(3600)
        finally:
            pathlib.Path("sleeps.cleaned").touch()

    @task(isolate="process")
    def holds_the_interpreter(ctx):
        begin("holds")
        ctypes.PyDLL(None).sleep(3600)

    @task(isolate="process")
    def does_not_listen(ctx):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        begin("deaf")
        time.sleep(3600)
"""
NAMES = ("sleeps", "holds", "deaf")


@pytest.fixture
def busy(faulty):
    """A build with three busy workers; gives its process and those of the workers and what they have started."""
    faulty.write({"tasks/t.py": BUSY})
    process = faulty.start("build", "--grace", "5", start_new_session=True)
    faulty.wait_for(process, *(f"{name}.begun" for name in NAMES))
    yield process, [faulty.number_in(f"{name}.{kind}") for name in NAMES for kind in ("pid", "child")]
    process.kill()
    process.communicate()


def test_ctrl_c_ends_them_and_shows_no_traceback(faulty, busy, ends):
    process, others = busy
    # As a terminal does: everybody in the foreground group gets the signal.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert set(faulty.statuses().values()) == {"cancelled"}
    assert (faulty.root / "sleeps.cleaned").exists()
    assert ends(*others)


def test_two_signals_leave_none_behind(busy, ends):
    process, others = busy
    process.send_signal(signal.SIGTERM)
    while "stopping" not in (line := process.stdout.readline()):
        assert line, "the run says that it stops"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert ends(*others)


def test_they_end_with_a_run_that_is_killed(busy, ends):
    process, others = busy
    process.kill()
    process.communicate(timeout=30)
    assert ends(*others)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_they_end_at_the_time_limit_of_their_node(faulty, ends, backend):
    faulty.write({"tasks/t.py": BUSY.replace('isolate="process"', 'isolate="process", timeout=1')})
    begun = time.monotonic()
    finished = faulty.sqb("build", "--backend", backend)
    assert finished.exit_code == 1, finished.output
    assert set(faulty.statuses().values()) == {"timed_out"}
    assert all(faulty.result(name)["error"]["type"] == "NodeTimeout" for name in faulty.statuses())
    assert (faulty.root / "sleeps.cleaned").exists()
    assert ends(*(faulty.number_in(f"{name}.{kind}") for name in NAMES for kind in ("pid", "child")))
    assert time.monotonic() - begun < 30


def test_idle_ones_end_with_the_run_and_there_are_never_more_than_threads(faulty, ends):
    faulty.write(
        {
            "tasks/t.py": """
                import os
                from sqlbuild.tasks import task

                for index in range(12):
                    @task(name=f"n{index}", isolate="process")
                    def quick(ctx, index=index):
                        return os.getpid()
            """
        }
    )
    faulty.build("--threads", "3")
    workers = {faulty.result(f"n{index}")["payload"] for index in range(12)}
    assert 1 <= len(workers) <= 3
    assert ends(*workers)


def test_a_worker_that_does_not_end_by_itself_does_not_keep_the_run(faulty, ends):
    faulty.write(
        {
            "tasks/t.py": """
                import atexit, os, time
                from sqlbuild.tasks import task

                @task(isolate="process")
                def leaves_something(ctx):
                    atexit.register(time.sleep, 3600)
                    return os.getpid()
            """
        }
    )
    faulty.build(timeout=30)
    assert ends(faulty.result("leaves_something")["payload"])
