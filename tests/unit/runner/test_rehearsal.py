"""Dry runs of plans made of plain functions."""

from __future__ import annotations

import pytest

from sqlbuild.domain.ids import NodeId
from sqlbuild.tasks import task


async def test_only_nodes_that_honour_it_are_called_and_the_others_would_run(run_plan):
    called = []

    @task
    def sync_push(ctx):
        called.append("sync_push")

    @task
    async def async_push(ctx):
        called.append("async_push")

    @task(dry_run=True)
    def sync_look(ctx):
        called.append(("sync_look", ctx.dry_run))

    @task(dry_run=True)
    async def async_look(ctx):
        called.append(("async_look", ctx.dry_run))

    ran = await run_plan({sync_push: (), async_push: (), sync_look: (), async_look: ()}, dry_run=True)
    assert sorted(called) == [("async_look", True), ("sync_look", True)]
    assert ran.statuses() == {
        "sync_push": "would_run",
        "async_push": "would_run",
        "sync_look": "succeeded",
        "async_look": "succeeded",
    }
    assert (ran.result.dry_run, ran.result.exit_code) == (True, 0)
    assert ran.result.results[NodeId("task:sync_push")].attempt == 0


async def test_outside_of_a_dry_run_the_flag_changes_nothing(run_plan):
    @task(dry_run=True)
    def look(ctx):
        assert not ctx.dry_run

    ran = await run_plan({look: ()})
    assert (ran.statuses(), ran.result.dry_run) == ({"look": "succeeded"}, False)


async def test_failures_and_skips_of_called_nodes_tell_what_would_come_after_them(run_plan):
    @task(dry_run=True)
    def bad(ctx):
        raise OSError

    @task
    def after_bad(ctx): ...

    @task(dry_run=True)
    async def empty(ctx):
        return ctx.skip("nothing new")

    @task
    def after_empty(ctx): ...

    ran = await run_plan({bad: (), after_bad: (bad,), empty: (), after_empty: (empty,)}, dry_run=True)
    assert ran.statuses() == {"bad": "failed", "after_bad": "blocked", "empty": "skipped", "after_empty": "skipped"}
    assert ran.result.exit_code == 1


async def test_the_result_of_a_node_that_was_not_called_is_its_last_success(run_plan):
    seen = []

    @task
    def numbers(ctx):
        return ctx.run_id

    @task(dry_run=True, depends_on=numbers)
    def look(ctx):
        seen.append(ctx.result_of(numbers).payload if ctx.result_of(numbers, default=None) else None)

    first = await run_plan({numbers: (), look: (numbers,)}, dry_run=True)
    assert first.statuses() == {"numbers": "would_run", "look": "succeeded"}
    stored = await run_plan({numbers: ()}, run_id="r2")
    await run_plan({numbers: (), look: (numbers,)}, run_id="r3", store=stored.store, dry_run=True)
    assert seen == [None, "r2"]


@pytest.mark.parametrize("sql", ["CREATE TABLE x AS SELECT 1", "SELECT 1; DROP TABLE y"])
async def test_a_node_may_read_and_not_write(run_plan, sql):
    @task(dry_run=True)
    def sync_write(ctx):
        assert ctx.query("SELECT 1").scalar() == 1
        ctx.execute_sql(sql)

    @task(dry_run=True)
    async def async_write(ctx):
        assert await ctx.query("SELECT 1").scalar() == 1
        await ctx.query(sql).fetchall()

    ran = await run_plan({sync_write: (), async_write: ()}, dry_run=True)
    for result in ran.result.results.values():
        assert result.error.message.startswith("a dry run only reads")
