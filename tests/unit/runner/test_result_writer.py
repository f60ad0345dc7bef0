"""Results on their way to the warehouse."""

from __future__ import annotations

import sys
import threading
import time

import anyio
import pytest

from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.results import NodeResult, Status
from sqlbuild.errors import WarehouseError
from sqlbuild.runner.result_writer import BATCH_ROWS, MOST_TEXTS, ResultWriter, batch_seconds
from sqlbuild.state.in_memory import InMemoryStateStore


class RecordingStore(InMemoryStateStore):
    def __init__(self):
        super().__init__()
        self.batches = []
        self.written = anyio.Event()

    async def append_results(self, records):
        self.batches.append(list(records))
        self.written.set()


class ThreadStore(RecordingStore):
    """Asks for the interpreter again and again while it writes, as each call of a driver does."""

    def __init__(self):
        super().__init__()
        self.began = threading.Event()

    async def append_results(self, records):
        await anyio.to_thread.run_sync(self._append)

    def _append(self):
        self.began.set()
        for _ in range(20):
            time.sleep(0)
        self.batches.append("written")


class FullStore(RecordingStore):
    async def append_results(self, records):
        raise WarehouseError("the disk is full", help="free space")


def encode(result):
    return f"{result.name} again"


def result_of(name):
    return NodeResult("r1", NodeId(f"task:{name}"), NodeKind.TASK, name, Status.SUCCEEDED, 1)


@pytest.mark.parametrize(("took", "seconds"), [(0.0, 0.1), (0.004, 0.1), (0.01, 0.2), (0.02, 0.4), (3.0, 0.5)])
def test_the_slower_a_warehouse_writes_the_older_its_batches_get_up_to_half_a_second(took, seconds):
    assert batch_seconds(took) == pytest.approx(seconds)


async def test_what_is_added_is_written_without_being_asked_for():
    store = RecordingStore()
    writer = ResultWriter(store, encode, pytest.fail)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        writer.add("a", result_of("a"))
        writer.add("b", result_of("b"))
        with anyio.fail_after(30):
            await store.written.wait()
        tasks.cancel_scope.cancel()
    assert [record for batch in store.batches for record in batch] == ["a", "b"]


async def test_a_flush_writes_everything_in_batches_that_fit_into_memory():
    store = RecordingStore()
    writer = ResultWriter(store, encode, pytest.fail)
    for number in range(BATCH_ROWS + 1):
        writer.add(str(number), result_of(number))
    await writer.flush()
    await writer.flush()
    assert [len(batch) for batch in store.batches] == [BATCH_ROWS, 1]
    assert [record for batch in store.batches for record in batch] == [str(number) for number in range(BATCH_ROWS + 1)]


async def test_texts_that_many_wait_behind_are_made_again_when_their_turn_comes():
    store = RecordingStore()
    writer = ResultWriter(store, encode, pytest.fail)
    numbers = range(MOST_TEXTS + 2)
    for number in numbers:
        writer.add(str(number), result_of(number))
    await writer.flush()
    written = [record for batch in store.batches for record in batch]
    assert written == [str(number) if number < MOST_TEXTS else f"{number} again" for number in numbers]


@pytest.fixture
def no_switching():
    """A thread that holds the interpreter keeps it until it lets go by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1_000)
    yield
    sys.setswitchinterval(before)


async def test_the_thread_of_the_warehouse_gets_the_interpreter_while_nodes_end(no_switching):
    store = ThreadStore()
    writer = ResultWriter(store, encode, pytest.fail)
    writer.add("first", result_of("first"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.flush)
        with anyio.fail_after(30):
            while not store.began.is_set():
                await anyio.lowlevel.checkpoint()
        for number in range(100_000):
            writer.add(str(number), result_of("one"))
            if store.batches:
                break
        assert store.batches, "the batch was not written before all results were added"


async def test_a_warehouse_that_fails_is_told_once_and_not_asked_again():
    failures = []
    writer = ResultWriter(FullStore(), encode, failures.append)
    for record in "ab":
        writer.add(record, result_of(record))
        await writer.flush()
    (failure,) = failures
    assert "results could not be written to the warehouse: the disk is full" in str(failure)
    assert failure.help == "free space"
