from __future__ import annotations

import anyio

from sqlbuild.runner.alarms import Alarms
from sqlbuild.testing import VirtualClock


async def settle():
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_callbacks_are_called_in_the_order_of_their_moments():
    clock = VirtualClock(jumps=False)
    alarms = Alarms(clock)
    called = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alarms.run)
        await settle()
        for moment in (3.0, 1.0, 2.0):
            alarms.at(moment, lambda moment=moment: called.append(moment))
        await settle()
        assert called == []
        clock.advance(1.5)
        await settle()
        assert called == [1.0]
        clock.advance(8.5)
        await settle()
        assert called == [1.0, 2.0, 3.0]
        tasks.cancel_scope.cancel()


async def test_an_earlier_alarm_set_later_comes_first():
    clock = VirtualClock(jumps=False)
    alarms = Alarms(clock)
    called = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alarms.run)
        alarms.at(5.0, lambda: called.append("late"))
        await settle()
        alarms.at(1.0, lambda: called.append("early"))
        await settle()
        clock.advance(1.0)
        await settle()
        assert called == ["early"]
        alarms.clear()
        clock.advance(8.0)
        await settle()
        assert called == ["early"]
        tasks.cancel_scope.cancel()
