from __future__ import annotations

import contextvars
import itertools

import anyio
import pytest

from sqlbuild.runner.attempts import Attempt
from sqlbuild.runner.outcomes import Returned
from sqlbuild.runner.workers import SLICE_SECONDS, Workers
from sqlbuild.tasks import AsyncTaskContext, task
from sqlbuild.testing import VirtualClock

variable = contextvars.ContextVar("variable", default=0)


async def test_no_node_sees_a_context_variable_that_another_one_has_set(run_plan):
    seen = []

    def make(number):
        @task(name=f"node_{number}")
        async def node(ctx: AsyncTaskContext):
            seen.append(variable.get())
            variable.set(number)
            if number % 3 == 0:
                await anyio.sleep(0)

        return node

    await run_plan({make(number): () for number in range(1, 30)}, {"concurrency": 2})
    assert seen == [0] * 29


@pytest.mark.parametrize("waiting", [0, 30])
async def test_however_many_workers_there_are_the_event_loop_is_kept_for_one_slice_at_a_time(run_plan, waiting):
    clock, done, seen = VirtualClock(jumps=False), [], []

    def make(number):
        @task(name=f"node_{number}")
        async def node(ctx: AsyncTaskContext):
            if number < waiting:
                await anyio.sleep(0)
            clock.advance(0.001)
            done.append(number)

        return node

    async def look(scope):
        with scope:
            while True:
                seen.append(len(done))
                await anyio.lowlevel.checkpoint()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look, scope)
        await run_plan({make(number): () for number in range(400)}, {"concurrency": 64}, clock=clock)
        scope.cancel()
    longest = max(after - before for before, after in itertools.pairwise(seen))
    # On trio, which takes tasks in any order, two slices may come after each other. Each node that has waited ends once.
    assert longest <= 2 * (SLICE_SECONDS / 0.001 + 2) + waiting


async def test_a_worker_whose_node_has_waited_begins_the_next_one_before_it_pauses():
    clock, left, settled = VirtualClock(jumps=False), list(range(40)), []

    async def call(attempt, _):
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        clock.advance(2 * SLICE_SECONDS)
        return Returned()

    def add_another(*_):
        if left:
            attempt = Attempt(step=None, node=None, number=left.pop(), need=(), session=None)
            workers.add(attempt)

    workers = Workers(
        clock,
        begin=lambda _: True,
        call=call,
        ended=add_another,
        settle=lambda: settled.append(len(left)),
        cancelled=lambda: None,
    )
    async with anyio.create_task_group() as tasks:
        workers.open(tasks)
        add_another()
        add_another()
    assert left == []
    assert settled == [0, 0]
