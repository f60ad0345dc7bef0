"""Runs that are stopped, and nodes that do not behave."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

from sqlbuild.domain.events import NodeFinished
from sqlbuild.domain.ids import NodeId
from sqlbuild.errors import EngineError, NodeCancelled, WarehouseError
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import task


@task
async def bad(ctx):
    await anyio.sleep(0.02)
    raise ValueError


async def test_a_node_that_swallows_cancellation_is_abandoned_after_the_grace_time(run_plan):
    released, abandoned = anyio.Event(), []

    @task
    async def stuck(ctx):
        with anyio.CancelScope(shield=True):
            await released.wait()

    @task
    async def child(ctx):
        pass

    def abandon(result):
        abandoned.append(result)
        released.set()

    ran = await run_plan({stuck: (), child: (stuck,), bad: ()}, fail_fast=True, grace=0.05, abandon=abandon)
    assert ran.statuses() == {"stuck": "unknown", "child": "blocked", "bad": "failed"}
    assert abandoned == [ran.result]
    assert ran.result.left_running == ("task:stuck",)
    assert ran.result.exit_code == 5
    assert sum(isinstance(event, NodeFinished) for event in ran.events) == 3


async def test_a_node_that_cleans_up_in_a_shield_still_gets_its_connection(run_plan):
    @task
    async def cleaning(ctx):
        try:
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await ctx.execute_sql("CREATE TABLE cleaned AS SELECT 1")

    ran = await run_plan({cleaning: (), bad: ()}, fail_fast=True)
    assert ran.statuses() == {"cleaning": "cancelled", "bad": "failed"}


async def test_what_depends_on_an_unknown_node_is_blocked(run_plan):
    release = threading.Event()

    @task
    def stuck(ctx):
        release.wait(60)

    @task
    async def child(ctx):
        pass

    ran = await run_plan({stuck: (), child: (stuck,), bad: ()}, fail_fast=True, grace=0.05)
    release.set()
    assert ran.statuses() == {"stuck": "unknown", "child": "blocked", "bad": "failed"}
    assert ran.result.results[NodeId("task:child")].because_of == ("task:stuck",)


async def test_what_waits_to_be_tried_again_when_the_run_stops_tells_its_attempts(run_plan):
    @task(retry=RetryPolicy(max_attempts=3, initial_delay_seconds=3_600, jitter=False))
    async def waiting(ctx):
        raise OSError("away")

    ran = await run_plan({waiting: (), bad: ()}, fail_fast=True, attempts={NodeId("task:waiting"): 2})
    result = ran.result.results[NodeId("task:waiting")]
    assert (result.status, result.attempt, len(result.retried)) == ("cancelled", 3, 1)


async def test_a_cancelled_group_of_the_nodes_own_is_cancelled_not_failed(run_plan, anyio_backend):
    @task
    async def waits(ctx):
        if anyio_backend == "trio":
            import trio

            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(trio.sleep, 60)
        else:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(asyncio.sleep(60))

    ran = await run_plan({waits: (), bad: ()}, fail_fast=True)
    assert ran.statuses() == {"waits": "cancelled", "bad": "failed"}


async def test_a_cancellation_without_a_stop_is_a_failure(run_plan):
    @task
    def raises(ctx):
        raise NodeCancelled

    @task
    async def child(ctx):
        pass

    ran = await run_plan({raises: (), child: (raises,)})
    assert ran.statuses() == {"raises": "failed", "child": "blocked"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_node_that_cancels_its_task_does_not_reach_the_next_one(run_plan):
    @task
    async def cancels(ctx):
        asyncio.current_task().cancel()

    def make(index):
        @task(name=f"n{index}")
        async def innocent(ctx):
            await anyio.sleep(0)

        return innocent

    ran = await run_plan({cancels: ()} | {make(i): () for i in range(3)}, limits={"concurrency": 1})
    assert set(ran.statuses().values()) == {"succeeded"}


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_scope_that_is_left_open_fails_only_its_node(run_plan):
    @task
    async def leaves_open(ctx):
        anyio.CancelScope().__enter__()

    @task
    async def innocent(ctx):
        await anyio.sleep(0)

    ran = await run_plan({leaves_open: (), innocent: ()}, limits={"concurrency": 1})
    assert ran.statuses() == {"leaves_open": "failed", "innocent": "succeeded"}
    assert "cancel scope" in ran.result.results[NodeId("task:leaves_open")].error.message


async def test_statements_and_the_connection_of_one_node_at_once_share_its_slot(run_plan):
    @task
    async def both(ctx):
        async def reads():
            assert await ctx.query("SELECT 1").scalar() == 1

        async def uses():
            ctx.connection.execute("SELECT 1")

        async with anyio.create_task_group() as group:
            group.start_soon(reads)
            group.start_soon(uses)

    @task
    async def one(ctx):
        rows = ctx.query("SELECT * FROM range(5000)")
        await rows.fetchone()
        ready.set()
        await other_ready.wait()

    @task
    async def other(ctx):
        rows = ctx.query("SELECT * FROM range(5000)")
        await rows.fetchone()
        other_ready.set()
        await ready.wait()

    ready, other_ready = anyio.Event(), anyio.Event()
    with anyio.fail_after(10):
        ran = await run_plan({both: (), one: (both,), other: (both,)}, limits={"connections": 2})
    assert set(ran.statuses().values()) == {"succeeded"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_tasks_that_a_node_leaves_behind_cannot_keep_a_connection(run_plan):
    refused, left = [], []

    @task
    async def leaves(ctx):
        async def goes_on():
            for sql in ("SELECT sum(a.range * b.range) FROM range(100000) a, range(1000000) b", *["SELECT 1"] * 3):
                try:
                    await ctx.query(sql).scalar()
                except WarehouseError as error:
                    refused.append(str(error))

        left.append(asyncio.create_task(goes_on()))
        await anyio.sleep(0.05)

    @task
    async def later(ctx):
        await left[0]
        return await ctx.query("SELECT 1").scalar()

    ran = await run_plan({leaves: (), later: (leaves,)}, limits={"connections": 1})
    assert set(ran.statuses().values()) == {"succeeded"}
    assert [("has ended" in text) for text in refused] == [False, True, True, True]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_connection_that_does_not_close_fails_its_node_only(run_plan, monkeypatch, kind):
    from sqlbuild.drivers.duckdb import DuckDBConnection

    closes = DuckDBConnection.close

    async def fails(self):
        await closes(self)
        raise WarehouseError("cannot be closed")

    if kind == "sync":

        @task
        def leaves_open(ctx):
            ctx.connection.execute("SELECT 1")
            monkeypatch.setattr(DuckDBConnection, "close", fails)
    else:

        @task
        async def leaves_open(ctx):
            ctx.connection.execute("SELECT 1")
            monkeypatch.setattr(DuckDBConnection, "close", fails)

    @task
    async def third(ctx):
        await anyio.sleep(0.05)
        monkeypatch.setattr(DuckDBConnection, "close", closes)

    ran = await run_plan({leaves_open: (), third: ()}, limits={"connections": 1})
    assert ran.statuses() == {"leaves_open": "failed", "third": "succeeded"}
    assert "cannot be closed" in ran.result.results[NodeId("task:leaves_open")].error.message


class BrokenJournal:
    """Passes on to another journal until the n-th start, which cannot be written."""

    def __init__(self, inner, starts):
        self.inner, self.left = inner, starts

    def started(self, node, attempt, at):
        self.left -= 1
        if self.left < 0:
            raise EngineError("no space left")
        self.inner.started(node, attempt, at)

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.mark.parametrize("starts", [0, 1, 2, 4])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_every_node_ends_once_when_the_journal_cannot_be_written(run_plan, starts, kind):
    def make(index):
        options = {"name": f"n{index}", "retry": RetryPolicy(max_attempts=3, initial_delay_seconds=0)}
        if kind == "sync":

            @task(**options)
            def node(ctx):
                if ctx.attempt < 3:
                    raise OSError
        else:

            @task(**options)
            async def node(ctx):
                if ctx.attempt < 3:
                    raise OSError

        return node

    events = []
    with pytest.raises(EngineError, match="no space left"):
        await run_plan(
            {make(index): () for index in range(6)},
            limits={"threads": 2, "concurrency": 2},
            events=events,
            wrap_journal=lambda journal: BrokenJournal(journal, starts),
        )
    ended = [event.result.node_id for event in events if isinstance(event, NodeFinished)]
    assert sorted(ended) == [f"task:n{index}" for index in range(6)]


async def test_fewer_threads_than_asked_for_are_enough(run_plan, monkeypatch):
    start = threading.Thread.start

    def start_few(thread):
        if thread.name.startswith("sqlbuild-") and int(thread.name.rpartition("-")[2]) > 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_few)
    both = threading.Barrier(2, timeout=10)

    def make(index):
        @task(name=f"n{index}")
        def node(ctx):
            both.wait()

        return node

    ran = await run_plan({make(index): () for index in range(10)}, limits={"threads": 8})
    assert set(ran.statuses().values()) == {"succeeded"}
