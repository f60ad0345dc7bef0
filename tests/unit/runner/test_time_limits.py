"""Limits by the run's clock, without the time that somebody else has stolen."""

from __future__ import annotations

import anyio
import pytest

from sqlbuild.runner.alarms import Alarms
from sqlbuild.runner.time_limits import TimeLimits
from sqlbuild.testing import VirtualClock


class Stage:
    """Time limits on a virtual clock; `stolen` and `own` are seconds that a test decides."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.alarms = Alarms(self.clock)
        self.stolen = 0.0
        self.own = 0.0
        self.overdue = anyio.Event()
        self._limits = TimeLimits(self.alarms, self.clock, lambda: self.stolen, grace=5)

    def limit(self, seconds: float):
        return self._limits.scope(seconds, lambda: self.own, self.overdue.set)


@pytest.fixture
def run():
    async def run(function) -> Stage:
        stage = Stage()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.alarms.run)
            await function(stage)
            tasks.cancel_scope.cancel()
        return stage

    return run


async def test_a_scope_is_cancelled_at_its_limit(run):
    async def waits(stage):
        with stage.limit(30):
            await anyio.sleep_forever()
        assert stage.clock.monotonic() == 30

    await run(waits)


async def test_a_scope_that_is_left_in_time_is_never_cancelled(run):
    async def is_quick(stage):
        with stage.limit(30):
            await anyio.sleep(0)
        await stage.clock.sleep_until(100)
        assert not stage.overdue.is_set()

    await run(is_quick)


async def test_stolen_time_is_given_back(run):
    async def waits(stage):
        with stage.limit(30):
            stage.stolen = 12
            await anyio.sleep_forever()
        assert stage.clock.monotonic() == 42

    await run(waits)


async def test_who_steals_the_time_does_not_get_it_back(run):
    async def waits(stage):
        with stage.limit(30):
            stage.stolen, stage.own = 12, 10
            await anyio.sleep_forever()
        assert stage.clock.monotonic() == 32

    await run(waits)


async def test_what_was_stolen_before_does_not_count(run):
    async def waits(stage):
        stage.stolen = 100
        with stage.limit(30):
            await anyio.sleep_forever()
        assert stage.clock.monotonic() == 30

    await run(waits)


async def test_a_scope_that_is_not_left_is_told_after_the_grace_time(run):
    async def refuses(stage):
        with stage.limit(30), anyio.CancelScope(shield=True):
            await stage.overdue.wait()
        assert stage.clock.monotonic() == 35

    await run(refuses)
