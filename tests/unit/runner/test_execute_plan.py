from __future__ import annotations

import contextvars
import threading
import time

import anyio
import pytest

from sqlbuild.assets import asset
from sqlbuild.domain.events import NodeFinished, NodeLogged, NodeRetrying
from sqlbuild.domain.ids import NodeId
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import task
from sqlbuild.testing import VirtualClock

AT_ONCE = RetryPolicy(max_attempts=3, initial_delay_seconds=0)


async def test_sync_and_async_nodes_run_and_pass_results_on(run_plan):
    @task
    def numbers(ctx):
        return {"rows": (1, 2)}

    @asset(depends_on=numbers)
    async def total(ctx):
        assert ctx.result_of(numbers).payload == {"rows": [1, 2]}, "what is read is what was stored"
        return ctx.result(payload=sum(ctx.result_of(numbers).payload["rows"]), materialized=True)

    ran = await run_plan({numbers: (), total: (numbers,)})
    assert ran.statuses() == {"numbers": "succeeded", "total": "succeeded"}
    assert ran.result.results[NodeId("asset:total")].payload == "3"
    assert ran.result.exit_code == 0
    assert ran.result.critical_path == ("task:numbers", "asset:total")


async def test_a_failed_node_keeps_type_message_and_blocks_its_children(run_plan):
    @task
    async def bad(ctx):
        raise LookupError("no such order")

    @task
    async def child(ctx):
        pass

    @task
    async def grandchild(ctx):
        pass

    ran = await run_plan({bad: (), child: (bad,), grandchild: (child,)})
    assert ran.statuses() == {"bad": "failed", "child": "blocked", "grandchild": "blocked"}
    error = ran.result.results[NodeId("task:bad")].error
    assert (error.type, error.message) == ("LookupError", "no such order")
    assert ran.result.results[NodeId("task:grandchild")].because_of == ("task:bad",)
    assert ran.result.exit_code == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_node_is_tried_again_and_the_causes_are_kept(run_plan, kind):
    calls = []

    def fail_twice():
        calls.append(1)
        if len(calls) < 3:
            raise OSError(f"attempt {len(calls)}")
        return len(calls)

    if kind == "sync":

        @task(retry=AT_ONCE)
        def flaky(ctx):
            assert ctx.attempt == len(calls) + 1
            return fail_twice()
    else:

        @task(retry=AT_ONCE)
        async def flaky(ctx):
            return fail_twice()

    ran = await run_plan({flaky: ()})
    result = ran.result.results[NodeId("task:flaky")]
    assert (result.status, result.attempt, result.payload) == ("succeeded", 3, "3")
    assert [error.message for error in result.retried] == ["attempt 1", "attempt 2"]
    assert [event.attempt for event in ran.events if isinstance(event, NodeRetrying)] == [1, 2]


async def test_a_waiting_retry_holds_no_slot(run_plan):
    other_ran = anyio.Event()

    @task(retry=RetryPolicy(max_attempts=2, initial_delay_seconds=30, jitter=False))
    async def flaky(ctx):
        if ctx.attempt == 1:
            raise OSError
        assert other_ran.is_set()

    @task
    async def other(ctx):
        other_ran.set()

    clock = VirtualClock()
    ran = await run_plan({flaky: (), other: ()}, limits={"concurrency": 1}, clock=clock)
    assert set(ran.statuses().values()) == {"succeeded"}
    assert clock.monotonic() == 30


async def test_an_async_node_is_cancelled_at_its_time_limit(run_plan):
    ended = []

    @task(timeout=0.05)
    async def slow(ctx):
        try:
            await anyio.sleep(60)
        finally:
            ended.append("finally")

    ran = await run_plan({slow: ()})
    assert ran.statuses() == {"slow": "timed_out"}
    assert ended == ["finally"]


async def test_a_timeout_of_the_nodes_own_is_a_failure(run_plan):
    @task(timeout=60)
    async def own(ctx):
        with anyio.fail_after(0.01):
            await anyio.sleep(60)

    assert (await run_plan({own: ()})).statuses() == {"own": "failed"}


@pytest.mark.parametrize("exception", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_leaving_the_process_fails_only_that_node(run_plan, exception, kind):
    if kind == "sync":

        @task
        def leaving(ctx):
            raise exception
    else:

        @task
        async def leaving(ctx):
            raise exception

    @task
    async def innocent(ctx):
        await anyio.sleep(0.01)

    ran = await run_plan({leaving: (), innocent: ()})
    assert ran.statuses() == {"leaving": "failed", "innocent": "succeeded"}
    assert ran.result.results[NodeId("task:leaving")].error.type == "NodeExited"


async def test_fail_fast_cancels_what_runs_and_starts_nothing_more(run_plan):
    cleaned = []

    @task
    async def bad(ctx):
        await anyio.sleep(0.02)
        raise ValueError

    @task
    async def running(ctx):
        try:
            await anyio.sleep(60)
        finally:
            cleaned.append(1)

    @task
    async def queued(ctx):
        pass

    @task
    async def later(ctx):
        pass

    ran = await run_plan(
        {bad: (), running: (), queued: (), later: (running,)}, limits={"concurrency": 2}, fail_fast=True
    )
    assert ran.statuses() == {"bad": "failed", "running": "cancelled", "queued": "not_started", "later": "not_started"}
    assert cleaned == [1]
    assert sum(isinstance(event, NodeFinished) for event in ran.events) == 4


async def test_a_thread_that_outlives_the_grace_time_leaves_its_node_unknown(run_plan):
    release = threading.Event()

    @task
    def stuck(ctx):
        release.wait(60)

    @task
    async def bad(ctx):
        await anyio.sleep(0.02)
        raise ValueError

    ran = await run_plan({stuck: (), bad: ()}, fail_fast=True, grace=0.05)
    release.set()
    assert ran.statuses() == {"stuck": "unknown", "bad": "failed"}
    assert ran.result.left_running == ("task:stuck",)
    assert ran.result.exit_code == 5


async def test_a_thread_waiting_for_a_statement_is_told_that_the_run_stops(run_plan):
    seen = []

    @task
    def querying(ctx):
        try:
            ctx.query(
                "SELECT count(*) FROM range(100000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3"
            ).scalar()
        finally:
            seen.append("finally")

    @task
    async def bad(ctx):
        await anyio.sleep(0.1)
        raise ValueError

    ran = await run_plan({querying: (), bad: ()}, fail_fast=True)
    assert ran.statuses() == {"querying": "cancelled", "bad": "failed"}
    assert seen == ["finally"]


async def test_context_variables_of_one_node_are_not_seen_by_another(run_plan):
    variable = contextvars.ContextVar("variable", default="clean")
    seen = []

    def make(name):
        @task(name=name)
        async def node(ctx):
            seen.append(variable.get())
            variable.set("dirty")

        return node

    def make_sync(name):
        @task(name=name)
        def node(ctx):
            seen.append(variable.get())
            variable.set("dirty")

        return node

    await run_plan({make(f"n{i}"): () for i in range(10)} | {make_sync(f"s{i}"): () for i in range(10)})
    assert seen == ["clean"] * 20


async def test_a_node_on_a_thread_may_run_an_event_loop_of_its_own(run_plan):
    async def double(number):
        await anyio.sleep(0)
        return number * 2

    @task
    def node(ctx):
        assert anyio.run(double, 2, backend="asyncio") == 4
        assert ctx.map(lambda number: anyio.run(double, number, backend="asyncio"), range(9)) == [*range(0, 18, 2)]

    ran = await run_plan({node: ()})
    assert ran.statuses() == {"node": "succeeded"}


async def test_queries_of_many_nodes_share_the_connections(run_plan):
    def make(name):
        @task(name=name)
        async def node(ctx):
            first = ctx.query("SELECT * FROM range(5000)")
            assert (await first.fetchone()) == (0,)
            # A second statement while a result is open shares the node's slot: no deadlock with one connection.
            assert await ctx.query("SELECT 1").scalar() == 1
            return len(await first.fetchall())

        return node

    def make_sync(name):
        @task(name=name)
        def node(ctx):
            rows = ctx.query("SELECT range FROM range(3000)")
            assert rows.fetchone() == (0,)
            return len(rows.fetchall()) + ctx.query("SELECT 1").fetchone()[0]

        return node

    nodes = [make(f"a{i}") for i in range(8)] + [make_sync(f"s{i}") for i in range(8)]
    ran = await run_plan(dict.fromkeys(nodes, ()), limits={"connections": 1})
    assert {result.payload for result in ran.result.results.values()} == {"4999", "3000"}


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_dropped_half_read_result_gives_its_connection_back(run_plan, kind):
    if kind == "sync":

        @task
        def reader(ctx):
            for _ in range(5):
                assert ctx.query("SELECT * FROM range(1000000)").fetchone() == (0,)
            return 1
    else:

        @task
        async def reader(ctx):
            for _ in range(5):
                assert await ctx.query("SELECT * FROM range(1000000)").fetchone() == (0,)
            return 1

    @task
    def other(ctx):
        return ctx.query("SELECT 1").scalar()

    ran = await run_plan({reader: (), other: ()}, limits={"connections": 1})
    assert set(ran.statuses().values()) == {"succeeded"}


async def test_a_missing_await_names_the_fix(run_plan):
    @task
    async def forgets(ctx):
        ctx.query("SELECT 1").fetchall()

    @task
    async def subscripts(ctx):
        return ctx.query("SELECT 1").fetchone()[0]

    @task
    def returns_a_coroutine(ctx):
        return anyio.sleep(0)

    ran = await run_plan({forgets: (), subscripts: (), returns_a_coroutine: ()})
    for result in ran.result.results.values():
        assert (result.status, result.error.type) == ("failed", "MissingAwait")
        assert "await" in result.error.message


async def test_a_skip_that_is_not_returned_fails_the_node(run_plan):
    @task
    def forgets(ctx):
        ctx.skip("nothing to do")

    ran = await run_plan({forgets: ()})
    assert ran.result.results[NodeId("task:forgets")].error.type == "NotReturned"


async def test_every_result_reaches_the_journal_and_the_store(run_plan):
    def make(index):
        @task(name=f"n{index}")
        async def node(ctx):
            return index

        return node

    ran = await run_plan({make(index): () for index in range(1200)})
    stored = await ran.store.latest_success([NodeId(f"task:n{index}") for index in range(1200)])
    assert sorted(int(result.payload) for result in stored.values()) == list(range(1200))


async def test_a_busy_node_does_not_stop_threads_from_being_heard(run_plan):
    @task
    def quick(ctx):
        return time.monotonic()

    def make(index):
        @task(name=f"n{index}")
        async def node(ctx):
            pass

        return node

    ran = await run_plan({quick: ()} | {make(index): () for index in range(500)})
    assert len(ran.result.results) == 501


async def test_what_a_node_logs_is_plain_before_it_leaves_the_node(run_plan):
    class Hostile:
        def __str__(self):
            raise RuntimeError

    @task
    def logs(ctx):
        ctx.log("three", rows=3, path=["a"], bad=Hostile())
        print("printed")

    ran = await run_plan({logs: ()})
    logged = [event for event in ran.events if isinstance(event, NodeLogged)]
    assert logged[0].fields == {"rows": 3, "path": "['a']", "bad": "<unprintable Hostile>"}
    assert ran.statuses() == {"logs": "succeeded"}


async def test_timestamps_with_a_time_zone_can_be_read(run_plan):
    @task
    def reads(ctx):
        return ctx.query("SELECT TIMESTAMPTZ '2026-01-02 03:04:05+00'").scalar().year

    ran = await run_plan({reads: ()})
    assert ran.result.results[NodeId("task:reads")].payload == "2026"
