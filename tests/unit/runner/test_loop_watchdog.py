"""A blocked event loop is noticed, and only who blocks it is named."""

from __future__ import annotations

import inspect
import json
import threading
import time

import anyio
import pytest

from sqlbuild.domain.events import NodeLogged, RunWarning
from sqlbuild.domain.ids import NodeId
from sqlbuild.retries import RetryPolicy
from sqlbuild.runner import loop_stack
from sqlbuild.tasks import task

HERE = "tests/unit/runner/test_loop_watchdog.py"


def line_of(text: str) -> int:
    """The line of this file, from 1, that ends in a comment."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {text}"))


def warnings_of(ran, name):
    return ran.result.results[NodeId(f"task:{name}")].warnings


async def test_a_node_that_blocks_the_loop_is_named_with_its_line_and_how_long(run_plan):
    @task
    async def blocks(ctx):
        time.sleep(0.6)  # the line

    @task
    async def innocent(ctx):
        await anyio.sleep(0.01)

    ran = await run_plan({blocks: (), innocent: ()}, blocked_loop_seconds=0.2)
    assert ran.statuses() == {"blocks": "succeeded", "innocent": "succeeded"}
    (warning,) = warnings_of(ran, "blocks")
    assert warning.startswith("kept the event loop from running for 0.")
    assert warning.endswith(f"{HERE}:{line_of('the line')}")
    assert warnings_of(ran, "innocent") == ()
    (said,) = [event for event in ran.events if isinstance(event, NodeLogged)]
    assert (said.node, said.level) == ("task:blocks", "warning")
    assert f"{HERE}:{line_of('the line')}" in said.message


async def test_with_strict_async_a_node_that_blocks_fails_and_is_not_tried_again(run_plan):
    @task(retry=RetryPolicy(max_attempts=3, initial_delay_seconds=0))
    async def blocks(ctx):
        time.sleep(0.6)  # strict

    @task
    async def innocent(ctx):
        await anyio.sleep(0.01)

    ran = await run_plan({blocks: (), innocent: ()}, blocked_loop_seconds=0.2, strict_async=True)
    assert ran.statuses() == {"blocks": "failed", "innocent": "succeeded"}
    result = ran.result.results[NodeId("task:blocks")]
    assert (result.attempt, result.error.type) == (1, "LoopBlocked")
    assert f":{line_of('strict')}" in result.error.message


async def test_a_task_that_a_node_has_started_is_blamed_on_the_node(run_plan):
    @task
    async def starts(ctx):
        async def child():
            time.sleep(0.6)

        async with anyio.create_task_group() as group:
            group.start_soon(child)

    ran = await run_plan({starts: ()}, blocked_loop_seconds=0.2)
    assert len(warnings_of(ran, "starts")) == 1


async def test_many_nodes_with_a_little_work_each_are_not_named(run_plan):
    def make(index):
        @task(name=f"n{index}")
        async def works(ctx):
            await anyio.sleep(0)
            time.sleep(0.05)

        return works

    ran = await run_plan({make(index): () for index in range(8)}, blocked_loop_seconds=0.2, strict_async=True)
    assert set(ran.statuses().values()) == {"succeeded"}
    assert not any(result.warnings for result in ran.result.results.values())


async def test_a_thread_that_holds_the_interpreter_makes_the_loop_late_and_no_node_fails(run_plan):
    digits = "[" + "1," * 20_000_000 + "1]"

    watched = threading.Event()

    @task
    def hogs(ctx):
        watched.wait(10)
        json.loads(digits)

    @task
    async def innocent(ctx):
        for _ in range(20):
            await anyio.sleep(0.02)
            watched.set()

    ran = await run_plan({hogs: (), innocent: ()}, blocked_loop_seconds=0.1, strict_async=True)
    assert ran.statuses() == {"hogs": "succeeded", "innocent": "succeeded"}
    # How much was seen meanwhile is the system's affair; that it was late is told, and of nobody.
    assert any(event.message.startswith("event loop late") for event in ran.events if isinstance(event, RunWarning))


async def test_the_limit_of_others_does_not_run_while_the_loop_is_blocked(run_plan):
    begun = []

    @task
    async def blocks(ctx):
        while len(begun) < 20:
            await anyio.sleep(0)
        time.sleep(0.8)

    def make(index):
        @task(name=f"n{index}", timeout=0.5)
        async def waits(ctx):
            begun.append(index)
            await anyio.sleep(0.3)

        return waits

    ran = await run_plan(
        {make(index): () for index in range(20)} | {blocks: ()},
        limits={"concurrency": 50},
        blocked_loop_seconds=0.1,
    )
    assert set(ran.statuses().values()) == {"succeeded"}


async def test_the_own_limit_of_a_node_runs_while_it_blocks(run_plan):
    @task(timeout=0.3)
    async def blocks(ctx):
        time.sleep(0.6)
        await anyio.sleep(0.5)

    ran = await run_plan({blocks: ()}, blocked_loop_seconds=0.1)
    assert ran.statuses() == {"blocks": "timed_out"}
    assert len(warnings_of(ran, "blocks")) == 1


async def test_a_run_in_which_nothing_blocks_says_nothing(run_plan):
    @task
    async def waits(ctx):
        await anyio.sleep(0.3)

    ran = await run_plan({waits: ()}, blocked_loop_seconds=0.1)
    assert not [event for event in ran.events if isinstance(event, RunWarning | NodeLogged)]
    assert warnings_of(ran, "waits") == ()


def test_code_of_the_engine_and_of_libraries_is_no_authors():
    stack = loop_stack.LoopStack(threading.get_ident(), "/project", lambda: ())
    assert stack._is_authors("/project/tasks/a.py")
    assert stack._is_authors("/elsewhere/helpers.py")
    assert not stack._is_authors(anyio.__file__)
    assert not stack._is_authors(json.__file__)
    assert not stack._is_authors(loop_stack.__file__)
    assert not stack._is_authors("/project/.venv/lib/python3.11/a.py")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_watchdog_ends_with_its_run(run_plan):
    @task
    async def quick(ctx):
        pass

    await run_plan({quick: ()})
    with anyio.fail_after(5):
        while any(thread.name == "loop-watchdog" for thread in threading.enumerate()):
            await anyio.sleep(0.01)
