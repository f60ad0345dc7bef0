from __future__ import annotations

import time

import anyio
import pytest

from sqlbuild.testing import VirtualClock


async def test_waiting_takes_no_time_and_time_passes_exactly():
    clock, woken = VirtualClock(), []
    began = time.monotonic()

    async def wait(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    async with anyio.create_task_group() as tasks:
        for seconds in (86_400, 3, 1, 2):
            tasks.start_soon(wait, seconds)
    assert woken == [(1, 1), (2, 2), (3, 3), (86_400, 86_400)]
    assert time.monotonic() - began < 10


async def test_it_stands_still_while_anything_can_go_on():
    clock, steps = VirtualClock(), []

    async def work():
        for _ in range(100):
            steps.append(clock.monotonic())
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.sleep, 1)
        tasks.start_soon(work)
    assert steps == [0.0] * 100
    assert clock.monotonic() == 1


async def test_an_earlier_one_that_comes_later_wakes_first():
    clock, woken = VirtualClock(), []

    async def wait(seconds):
        await clock.sleep(seconds)
        woken.append(seconds)

    async def wait_then_wait():
        await wait(1)
        await wait(2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, 10)
        tasks.start_soon(wait_then_wait)
    assert woken == [1, 2, 10]


async def test_without_jumps_it_moves_only_when_told():
    clock = VirtualClock(jumps=False)
    woken = anyio.Event()

    async def wait():
        await clock.sleep_until(5)
        woken.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        clock.advance(4)
        await anyio.wait_all_tasks_blocked()
        assert not woken.is_set()
        clock.advance(1)
    assert woken.is_set()


async def test_one_that_is_cancelled_holds_up_nobody():
    clock = VirtualClock()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(clock.sleep, 3)
            tasks.start_soon(clock.sleep, 2)
            scope.cancel()
            await clock.sleep(1)
    assert clock.monotonic() == 3


async def test_a_moment_that_has_passed_is_not_waited_for():
    clock = VirtualClock(start=1000)
    clock.advance(7)
    await clock.sleep_until(3)
    assert (clock.now(), clock.monotonic()) == (1007, 7)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_passes_forwards(seconds):
    with pytest.raises(ValueError, match="forwards"):
        VirtualClock().advance(seconds)
