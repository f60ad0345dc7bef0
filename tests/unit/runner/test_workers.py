from __future__ import annotations

import contextvars

import anyio

from sqlbuild.tasks import AsyncTaskContext, task

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
