"""What the lock of every kind of target promises; see `sqlbuild.interfaces.target_lock`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from sqlbuild.domain.settings import Connection
from sqlbuild.state.target_lock import FileTargetLock, process_mark
from sqlbuild.warehouses.postgres_lock import PostgresTargetLock

HOLD = """
import os, sys, time
from sqlbuild.domain.settings import Connection
from sqlbuild.state.target_lock import FileTargetLock, process_mark
from sqlbuild.warehouses.postgres_lock import PostgresTargetLock

if sys.argv[1] == "postgres":
    connection = Connection(name="c", adapter="postgres", options={{"dsn": sys.argv[2]}})
    lock = PostgresTargetLock(connection, "dev", process_mark=process_mark)
else:
    lock = FileTargetLock(sys.argv[2])
assert lock.take()
lock.tell(command="sqb build", target="dev", run_id="20261123T020000Z-abc123")
print("held", flush=True)
{then}
"""


@pytest.fixture(params=["file", "postgres"])
def kind(request):
    return request.param


@pytest.fixture
def place(request, kind, tmp_path):
    return str(tmp_path / "shop.duckdb") if kind == "file" else request.getfixturevalue("postgres_url")


@pytest.fixture
def make_lock(kind, place):
    made = []

    def make(schema="dev"):
        if kind == "file":
            made.append(FileTargetLock(place))
        else:
            connection = Connection(name="c", adapter="postgres", options={"dsn": place})
            made.append(PostgresTargetLock(connection, schema, process_mark=process_mark))
        return made[-1]

    yield make
    for lock in made:
        lock.release()


@pytest.fixture
def lock(make_lock):
    return make_lock()


@pytest.fixture
def holder(kind, place):
    """Starts a process that holds the lock, until it is killed at the latest."""
    started = []

    def start(then="time.sleep(600)"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD.format(then=then), kind, place],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def taken_soon(lock):
    give_up_at = time.monotonic() + 20
    while not lock.take():
        assert time.monotonic() < give_up_at, "the lock is not free"
    return True


def test_only_one_process_holds_it_and_says_who_it_is(lock, holder):
    process = holder()
    assert not lock.take()
    assert lock.is_held()
    said = lock.holder()
    assert (said.pid, said.host, said.command) == (process.pid, os.uname().nodename, "sqb build")
    assert (said.target, said.run_id, str(said)) == (
        "dev",
        "20261123T020000Z-abc123",
        "run 20261123T020000Z-abc123",
    )
    assert lock.is_running_here(said)
    assert abs(said.since - time.time()) < 60


def test_it_is_free_when_its_holder_is_killed(lock, holder):
    process = holder()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert taken_soon(lock)


def test_children_of_a_killed_holder_do_not_keep_it_and_do_not_free_it(lock, holder):
    process = holder(
        "pid = os.fork()\nif not pid: sys.exit()\nos.waitpid(pid, 0)\n"
        "if not os.fork(): time.sleep(600)\nprint('forked', flush=True)\ntime.sleep(600)"
    )
    while process.stdout.readline() not in ("forked\n", ""):
        continue
    assert not lock.take()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert taken_soon(lock)


def test_a_holder_that_ends_without_giving_it_back_ends_and_leaves_it_free(lock, holder):
    assert holder("").wait(timeout=20) == 0
    assert taken_soon(lock)


def test_who_holds_it_may_ask_again_and_give_it_back_twice(lock, make_lock):
    assert lock.take()
    assert lock.take()
    lock.tell(command="sqb load", target="dev")
    assert lock.is_held()
    assert (lock.holder().command, lock.holder().pid) == ("sqb load", os.getpid())
    lock.release()
    lock.release()
    assert not make_lock().is_held()
    assert make_lock().holder() is None
    assert lock.take(), "it can be taken again"


def test_who_only_looks_keeps_nobody_out(lock, make_lock):
    assert not lock.is_held()
    assert lock.holder() is None
    assert make_lock().take()


def test_who_waits_is_told_what_can_be_done(lock, holder):
    process = holder()
    assert "pg_stat_activity" in lock.advice(None) or "fuser" in lock.advice(None)
    assert lock.is_held()
    said = lock.holder()
    assert said.host in lock.advice(said)
    assert "--lock-timeout" in lock.advice(said)
    assert process.poll() is None
