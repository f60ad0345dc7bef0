from __future__ import annotations

import asyncio
import gc
import threading

import anyio
import pytest

from sqlbuild.drivers.statement_threads import StatementThreads, _Call


@pytest.fixture
async def threads():
    made = StatementThreads("test")
    yield made
    made.close()


def nothing() -> None:
    """Nothing to interrupt."""


async def test_work_runs_on_another_thread_and_its_value_comes_back(threads):
    assert await threads.run(threading.get_ident, nothing) != threading.get_ident()


async def test_an_error_of_the_work_is_the_callers(threads):
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0, nothing)
    assert await threads.run(lambda: 1, nothing) == 1


async def test_an_idle_thread_is_used_again(threads):
    idents = {await threads.run(threading.get_ident, nothing) for _ in range(20)}
    assert len(idents) == 1


async def test_as_many_threads_run_as_there_is_work(threads):
    together = threading.Barrier(10)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(threads.run, together.wait, nothing)


async def test_a_cancelled_caller_returns_only_when_the_thread_is_done(threads):
    def work() -> None:
        interrupted.wait()
        done.append(True)
        raise InterruptedError

    interrupted, done = threading.Event(), []
    with anyio.move_on_after(0.05) as scope:
        await threads.run(work, interrupted.set)
    assert scope.cancelled_caught
    assert done == [True]


async def test_work_that_ended_all_the_same_counts(threads):
    def work() -> str:
        interrupted.wait()
        return "committed"

    interrupted = threading.Event()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_soon, scope)
            value = await threads.run(work, interrupted.set)
    assert value == "committed"


async def _cancel_soon(scope: anyio.CancelScope) -> None:
    await anyio.sleep(0.02)
    scope.cancel()


async def test_interrupting_is_repeated_until_the_work_ends(threads):
    def work() -> None:
        begun.set()
        counted.wait()
        raise InterruptedError

    def interrupt() -> None:
        interrupts.append(None)
        if len(interrupts) == 3:
            counted.set()

    interrupts: list[None] = []
    begun, counted = threading.Event(), threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(threads.run, work, interrupt)
        while not begun.is_set():
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert len(interrupts) == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_cancelled_again_and_again_still_waits_for_its_thread(threads):
    def work() -> None:
        begun.set()
        released.wait()
        raise InterruptedError

    begun, released = threading.Event(), threading.Event()
    task = asyncio.ensure_future(threads.run(work, nothing))
    while not begun.is_set():
        await anyio.lowlevel.checkpoint()
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
        task.cancel()
    assert not task.done()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_thread_ends_with_the_event_loop_that_waited_for_it():
    async def begin() -> None:
        threads = StatementThreads("orphan")
        threads._submit(_Call(released.wait))

    released = threading.Event()
    anyio.run(begin)
    released.set()
    for thread in threading.enumerate():
        if thread.name.startswith("orphan"):
            thread.join(5)
            assert not thread.is_alive()


async def test_posted_work_runs_although_nobody_waits(threads):
    ran = threading.Event()
    await threads.run(nothing, nothing)
    threads.post(ran.set)
    assert await threads.run(lambda: ran.wait(5), nothing)


async def test_posting_from_a_finalizer_while_work_is_handed_over_is_safe(threads):
    class Kept:
        def __del__(self) -> None:
            threads.post(lambda: collected.append(True))

    collected: list[bool] = []
    await threads.run(nothing, nothing)
    for _ in range(200):
        kept = Kept()
        kept.itself = kept
        del kept
        gc.collect(0)
        await threads.run(nothing, nothing)
    threads.close()
    assert len(collected) == 200


async def test_closing_ends_the_threads():
    threads = StatementThreads("closing")
    await threads.run(nothing, nothing)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("closing")] == ["closing-1"]
    threads.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("closing")]
