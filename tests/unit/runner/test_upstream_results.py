from __future__ import annotations

import anyio

from sqlbuild.state.in_memory import InMemoryStateStore
from sqlbuild.tasks import task


async def test_the_results_of_earlier_runs_are_read_newest_first(run_plan):
    seen = []

    @task
    def numbers(ctx):
        return ctx.run_id

    @task(depends_on=numbers)
    def sync_reader(ctx):
        seen.append([result.payload for result in ctx.results_of(numbers, limit=3)])

    @task(depends_on=numbers)
    async def async_reader(ctx):
        seen.append([result.payload for result in await ctx.results_of(numbers, 3)])

    functions = {numbers: (), sync_reader: (numbers,), async_reader: (numbers,)}
    ran = await run_plan(functions)
    assert seen == [["r1"], ["r1"]]
    for number in range(2, 6):
        await run_plan(functions, run_id=f"r{number}", store=ran.store, without=[sync_reader, async_reader])
    await run_plan(functions, run_id="r6", store=ran.store, without=[numbers])
    assert seen[2:] == [["r5", "r4", "r3"]] * 2
    await run_plan(functions, run_id="r7", store=ran.store, without=[])
    assert seen[4:] == [["r7", "r5", "r4"]] * 2


async def test_a_result_of_this_run_that_is_stored_already_is_not_there_twice(run_plan):
    seen, store = [], InMemoryStateStore()

    @task
    def numbers(ctx): ...

    @task(depends_on=numbers)
    async def reader(ctx):
        while ctx.run_id not in [result.run_id for result in await store.last_successes("task:numbers", 1)]:
            await anyio.sleep(0.01)
        seen.append([result.run_id for result in await ctx.results_of(numbers, 2)])

    for run_id in ("r1", "r2"):
        await run_plan({numbers: (), reader: (numbers,)}, run_id=run_id, store=store)
    assert seen == [["r1"], ["r2", "r1"]]


async def test_a_failure_in_this_run_hides_no_earlier_success(run_plan):
    seen = []

    @task
    def numbers(ctx):
        return ctx.skip("not today") if ctx.run_id == "r2" else 1

    @task(depends_on=numbers, requires="none_failed")
    def reader(ctx):
        seen.append([result.run_id for result in ctx.results_of(numbers)])

    ran = await run_plan({numbers: (), reader: (numbers,)})
    await run_plan({numbers: (), reader: (numbers,)}, run_id="r2", store=ran.store)
    assert seen == [["r1"], ["r1"]]


async def test_only_declared_upstreams_can_be_read(run_plan):
    @task
    def other(ctx): ...

    @task
    def reader(ctx):
        ctx.results_of(other)

    ran = await run_plan({other: (), reader: ()})
    (error,) = [result.error for result in ran.result.results.values() if result.error is not None]
    assert error.type == "UndeclaredDependency"
    assert error.help == "add depends_on=other to its decorator"


async def test_reading_results_takes_one_of_the_connections(run_plan):
    @task
    def numbers(ctx): ...

    @task(depends_on=numbers)
    async def reader(ctx):
        rows = ctx.query("SELECT 1")
        await rows.fetchone()
        assert len(await ctx.results_of(numbers)) == 1

    ran = await run_plan({numbers: (), reader: (numbers,)}, limits={"connections": 1})
    assert ran.statuses() == {"numbers": "succeeded", "reader": "succeeded"}
