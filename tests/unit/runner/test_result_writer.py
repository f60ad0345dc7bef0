"""Results on their way to the warehouse."""

from __future__ import annotations

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


async def test_a_warehouse_that_fails_is_told_once_and_not_asked_again():
    failures = []
    writer = ResultWriter(FullStore(), encode, failures.append)
    for record in "ab":
        writer.add(record, result_of(record))
        await writer.flush()
    (failure,) = failures
    assert "results could not be written to the warehouse: the disk is full" in str(failure)
    assert failure.help == "free space"
