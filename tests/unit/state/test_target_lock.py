from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sqlbuild.errors import WarehouseUnreachable
from sqlbuild.state.target_lock import FileTargetLock

HOLD = """
import sys, time
from sqlbuild.state.target_lock import FileTargetLock
lock = FileTargetLock(sys.argv[1])
assert lock.take()
lock.tell(command="sqb build", target="dev", run_id="r1")
print("held", flush=True)
{then}
"""


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "shop.duckdb")


@pytest.fixture
def lock(database):
    lock = FileTargetLock(database)
    yield lock
    lock.release()


@pytest.fixture
def holder(database):
    """Starts a process that holds the lock, until it is killed at the latest."""
    started = []

    def start(then="time.sleep(600)"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD.format(then=then), database],
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


def test_the_system_frees_it_when_its_holder_is_killed(lock, holder):
    process = holder()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert taken_soon(lock)
    assert not lock.is_running_here(lock.holder()), "the text is still the dead one's, which matters to nobody"
    lock.tell(command="sqb load", target="dev")
    assert lock.holder().pid == os.getpid()


def test_it_is_not_lost_when_something_else_in_the_process_opens_and_closes_the_file(lock, database):
    assert lock.take()
    with open(f"{database}.lock", "rb") as file:
        file.read()
    assert not FileTargetLock(database).take()


def test_nothing_is_left_behind(lock, tmp_path):
    assert lock.take()
    assert lock.take(), "who holds it may ask again"
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []
    assert not lock.is_held()
    assert lock.holder() is None


def test_looking_at_it_makes_no_file(lock, tmp_path):
    assert not lock.is_held()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_removed_under_its_holder_keeps_nobody_out_and_takes_nothing_with_it(lock, database):
    assert lock.take()
    os.unlink(f"{database}.lock")
    other = FileTargetLock(database)
    assert other.take()
    lock.release()
    assert not FileTargetLock(database).take(), "the new file is still there and locked"
    other.release()


def test_who_waited_with_the_old_file_open_takes_the_new_one(lock, database, monkeypatch):
    real, removed = fcntl.flock, []

    def removed_meanwhile(file, how):
        if not removed:
            removed.append(os.unlink(f"{database}.lock"))
        return real(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    assert lock.take()
    assert os.path.exists(f"{database}.lock")
    assert not FileTargetLock(database).take()


SAID = {"pid": 1, "host": "elsewhere", "command": "sqb build", "target": "dev", "since": 0.0}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"pid": 1}', SAID, {"pid": "mine", "host": "mine", "process_mark": "another boot/1"}],
    ids=str,
)
def test_what_stands_in_the_file_never_decides(lock, database, text):
    if isinstance(text, dict):
        mine = {"pid": os.getpid(), "host": os.uname().nodename}
        text = json.dumps(SAID | {name: mine[name] if value == "mine" else value for name, value in text.items()})
    with open(f"{database}.lock", "w") as file:
        file.write(text)
    assert not lock.is_held()
    said = lock.holder()
    assert said is None or not lock.is_running_here(said)
    assert lock.take()


def test_a_database_behind_a_link_has_one_lock(tmp_path, lock, database):
    (tmp_path / "link.duckdb").symlink_to(database)
    assert lock.take()
    assert not FileTargetLock(str(tmp_path / "link.duckdb")).take()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path, lock, database):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "shop.duckdb.lock").symlink_to(precious)
    with pytest.raises(WarehouseUnreachable, match="cannot be opened"):
        lock.take()
    assert precious.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path, database):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WarehouseUnreachable, match="is not writable, so the lock of the target") as raised:
            FileTargetLock(database).take()
    finally:
        tmp_path.chmod(0o700)
    assert f"ls -ld {tmp_path}" in raised.value.help


def test_in_place_of_the_folder_that_cannot_be_written_any_error_of_the_system_is_told(lock, monkeypatch):
    def refused(*_args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(WarehouseUnreachable, match="is not writable, so the lock of the target"):
        lock.take()


def test_without_a_folder_there_is_nothing_to_lock(tmp_path):
    lock = FileTargetLock(str(tmp_path / "gone" / "shop.duckdb"))
    assert lock.take()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told(lock, tmp_path, monkeypatch, number):
    def refuse(_file, _how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert lock.take()
    assert "has no locks" in lock.warning
    assert not lock.is_held()
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_cannot_be_written_is_no_error(lock, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert lock.take()
    monkeypatch.setattr(os, "pwrite", full)
    lock.tell(command="sqb build", target="dev")
    assert lock.holder() is None
