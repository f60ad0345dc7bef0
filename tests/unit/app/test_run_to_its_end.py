from __future__ import annotations

import anyio
import pytest

from sqlbuild.app.run_to_its_end import run_to_its_end


async def test_what_the_work_gives_is_returned():
    async def work(stop_asked):
        await anyio.lowlevel.checkpoint()
        return 7

    assert await run_to_its_end(work) == 7


async def test_what_the_work_raises_is_raised_itself():
    failure = ValueError("no")

    async def work(stop_asked):
        raise failure

    with pytest.raises(ValueError, match="no") as raised:
        await run_to_its_end(work)
    assert raised.value is failure


async def test_a_cancelled_caller_waits_for_the_end_of_the_work():
    steps = []

    async def work(stop_asked):
        await stop_asked()
        steps.append("asked to stop")
        await anyio.sleep(0.01)
        steps.append("ended")

    with anyio.CancelScope() as scope:
        scope.cancel()
        await run_to_its_end(work)
    assert scope.cancelled_caught
    assert steps == ["asked to stop", "ended"]


async def test_work_that_nobody_stops_is_not_asked_to():
    asked = []

    async def work(stop_asked):
        with anyio.move_on_after(0.01):
            await stop_asked()
            asked.append(True)

    await run_to_its_end(work)
    assert asked == []


async def test_work_that_is_to_stop_before_it_begins_is_told_so_at_once():
    async def work(stop_asked):
        await stop_asked()
        return "stopped"

    assert await run_to_its_end(work, already_asked=lambda: True) == "stopped"
