"""Waiting for a target: for our own lock, and for another program that has its database open."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest

from sqlbuild.app import target_access
from sqlbuild.app.target_access import Patience, TargetAccess
from sqlbuild.domain.events import RunWarning, WaitingForTarget
from sqlbuild.domain.settings import Connection
from sqlbuild.errors import TargetLocked, WarehouseUnreachable
from sqlbuild.interfaces.target_lock import Holder
from sqlbuild.state.target_lock import FileTargetLock
from sqlbuild.warehouses.duckdb import DuckDBWarehouse

HOLDER = Holder(pid=7, host="box", command="sqb build", target="dev", since=time.time(), run_id="r1")


@dataclasses.dataclass
class GivenLock:
    """Held by somebody else for so many questions."""

    held_for: int = 0
    said: Holder | None = HOLDER
    here: bool = True
    warning: str | None = None
    readers_wait: bool = True
    taken: bool = False
    lose: Callable[[bool], None] | None = None
    told: list[tuple[str, str, str | None]] = dataclasses.field(default_factory=list)

    def take(self):
        self.taken = not self.is_held()
        return self.taken

    def is_held(self):
        self.held_for -= 1
        return self.held_for >= 0

    def tell(self, *, command, target, run_id=None):
        self.told.append((command, target, run_id))

    def release(self):
        self.taken = False

    def holder(self):
        return self.said

    def is_running_here(self, _holder):
        return self.here

    def advice(self, holder):
        return f"go to {holder.host}" if holder is not None else "find it"

    def when_lost(self, function):
        self.lose = function


@pytest.fixture
def events():
    return []


@pytest.fixture
def access_to(events):
    def make(lock, seconds=60.0, target="dev"):
        patience = Patience(seconds=seconds, publish=events.append)
        return TargetAccess(lock, target=target, command="sqb build", patience=patience)

    return make


async def test_a_free_target_is_taken_and_named_without_a_word(access_to, events):
    lock = GivenLock()
    access = access_to(lock)
    await access.lock_for_writing()
    await access.tell_run("r2")
    assert lock.told == [("sqb build", "dev", None), ("sqb build", "dev", "r2")]
    await access.close()
    assert not lock.taken
    assert events == []


async def test_whoever_waits_is_told_for_whom_and_goes_on_once_it_is_free(access_to, events, monkeypatch):
    monkeypatch.setattr(target_access, "RETRY_SECONDS", 0.001)
    lock = GivenLock(held_for=5)
    await access_to(lock).lock_for_writing()
    assert lock.taken
    (told,) = events
    assert isinstance(told, WaitingForTarget)
    assert told.holder.startswith("target dev is held by run r1 (pid 7 on box, sqb build, since ")
    assert (told.waited, told.timeout) == (0.0, 60.0)


async def test_it_is_told_again_from_time_to_time(access_to, events, monkeypatch):
    monkeypatch.setattr(target_access, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(target_access, "REMIND_SECONDS", 0.002)
    await access_to(GivenLock(held_for=20)).lock_for_writing()
    assert 2 <= len(events) <= 20
    assert events[-1].waited > 0


@pytest.mark.parametrize(
    ("lock", "help"),
    [
        (GivenLock(), "look at it with `ps -fp 7`; wait longer with --lock-timeout SECONDS, or stop it with `kill 7`"),
        (GivenLock(here=False), "go to box"),
        (GivenLock(said=None), "find it"),
    ],
)
async def test_at_the_end_of_its_patience_it_says_what_can_be_done(access_to, events, lock, help):
    lock.held_for = 1_000_000
    with pytest.raises(TargetLocked) as raised:
        await access_to(lock, seconds=0.0).lock_for_writing()
    assert raised.value.help == help
    assert raised.value.exit_code == 3
    assert events == [], "who does not wait is not told that it waits"


async def test_the_time_is_over_when_it_was_said(access_to, events):
    began = time.monotonic()
    with pytest.raises(TargetLocked):
        await access_to(GivenLock(held_for=1_000_000), seconds=0.25).wait_for_writers()
    assert 0.2 < time.monotonic() - began < 5
    assert len(events) == 1


async def test_another_target_of_the_same_database_is_named(access_to):
    with pytest.raises(TargetLocked, match="on target dev of the same database"):
        await access_to(GivenLock(held_for=9), seconds=0.0, target="prod").lock_for_writing()


async def test_a_holder_that_has_not_begun_its_run_is_named_by_its_command(access_to):
    lock = GivenLock(held_for=9, said=dataclasses.replace(HOLDER, run_id=None, since=0.0))
    with pytest.raises(TargetLocked, match=r"held by sqb build \(pid 7 on box, since 1970-01-01 00:00:00 UTC\)"):
        await access_to(lock, seconds=0.0).lock_for_writing()


async def test_waiting_can_be_cancelled_and_takes_nothing(access_to):
    lock = GivenLock(held_for=1_000_000)
    access = access_to(lock)
    with anyio.move_on_after(0.05) as scope:
        await access.lock_for_writing()
    assert scope.cancelled_caught
    await access.close()
    assert not lock.taken


async def test_the_event_loop_goes_on_while_the_system_is_asked(access_to):
    """As on a file system in a network, where every question takes its time."""
    turns = 0

    class SlowLock(GivenLock):
        def take(self):
            time.sleep(0.2)
            return True

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await anyio.sleep(0.001)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await access_to(SlowLock()).lock_for_writing()
        tasks.cancel_scope.cancel()
    assert turns > 10


async def test_a_reader_waits_for_writers_and_takes_nothing(access_to, events, monkeypatch):
    monkeypatch.setattr(target_access, "RETRY_SECONDS", 0.001)
    lock = GivenLock(held_for=3)
    await access_to(lock).wait_for_writers()
    assert not lock.taken
    assert lock.told == []
    assert len(events) == 1


async def test_where_readers_need_not_wait_only_who_asks_for_writers_does(access_to):
    lock = GivenLock(held_for=1_000_000, readers_wait=False)
    await access_to(lock, seconds=0.0).wait_until_readable()
    with pytest.raises(TargetLocked):
        await access_to(lock, seconds=0.0).wait_for_writers()
    with pytest.raises(TargetLocked):
        await access_to(GivenLock(held_for=9), seconds=0.0).wait_until_readable()


async def test_a_lock_that_was_lost_and_is_held_again_is_a_warning(access_to, events):
    lock = GivenLock()
    await access_to(lock).lock_for_writing()
    await anyio.to_thread.run_sync(lock.lose, True)
    assert [event.message for event in events] == ["the connection that held target dev was lost; it is held again"]


async def test_a_lock_that_somebody_else_has_now_is_an_error_that_names_him(access_to):
    lock = GivenLock()
    access = access_to(lock)
    await access.lock_for_writing()
    errors = []

    async def wait():
        errors.append(await access.lost())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.to_thread.run_sync(functools.partial(lock.lose, False))
    assert "the connection that held target dev was lost, and somebody else was faster: " in str(errors[0])
    assert "held by run r1 (pid 7 on box" in str(errors[0])
    assert errors[0].exit_code == 5


async def test_a_lock_that_protects_nothing_is_a_warning(access_to, events):
    await access_to(GivenLock(warning="the file system has no locks")).lock_for_writing()
    (told,) = events
    assert isinstance(told, RunWarning)
    assert told.message == "the file system has no locks"


async def test_without_a_lock_nobody_is_waited_for(access_to, events):
    access = access_to(None)
    await access.lock_for_writing()
    await access.wait_for_writers()
    await access.tell_run("r1")
    await access.close()
    assert events == []


@pytest.fixture
def warehouse(tmp_path):
    options = {"database": str(tmp_path / "shop.duckdb")}
    return DuckDBWarehouse(Connection(name="local", adapter="duckdb", options=options), str(tmp_path))


@pytest.fixture
def other_program(tmp_path):
    """A program that has the database open, such as DuckDB's own command line."""
    code = "import duckdb, sys; opened = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "shop.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"open\n"
    yield process
    process.kill()
    process.communicate()


async def test_another_program_is_waited_for_in_the_same_way(access_to, events, warehouse, other_program, tmp_path):
    lock = FileTargetLock(str(tmp_path / "shop.duckdb"))
    access = access_to(lock)

    async def let_go():
        while not events:
            await anyio.sleep(0.001)
        other_program.kill()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(let_go)
        await access.lock_for_writing()
        await access.open(warehouse)
    assert f"is in use by process {other_program.pid}" in events[0].holder
    assert lock.holder().pid == os.getpid()
    await access.close()
    assert not lock.is_held()


async def test_both_locks_are_waited_for_within_one_limit(access_to, events, warehouse, other_program):
    lock = GivenLock(held_for=3)
    access = access_to(lock, seconds=0.5)
    began = time.monotonic()
    await access.lock_for_writing()
    with pytest.raises(TargetLocked, match=f"process {other_program.pid}"):
        await access.open(warehouse)
    assert time.monotonic() - began < 5
    await access.close()
    assert not lock.taken


async def test_a_warehouse_that_cannot_be_opened_is_not_waited_for(access_to, tmp_path):
    options = {"database": str(tmp_path / "gone" / "shop.duckdb")}
    warehouse = DuckDBWarehouse(Connection(name="local", adapter="duckdb", options=options), str(tmp_path))
    access = access_to(FileTargetLock(str(tmp_path / "gone" / "shop.duckdb")))
    await access.lock_for_writing()
    with pytest.raises(WarehouseUnreachable, match="does not exist"):
        await access.open(warehouse)
    await access.close()
