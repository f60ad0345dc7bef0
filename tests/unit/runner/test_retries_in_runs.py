"""Attempts, their delays on a virtual clock, and what is reported in the end."""

from __future__ import annotations

import anyio
import pytest

from sqlbuild.domain.events import NodeRetrying
from sqlbuild.domain.results import Status
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import AsyncTaskContext, task
from sqlbuild.testing import VirtualClock


class Refused(OSError):
    pass


class Unlisted(ValueError):
    pass


MOST = 5
POLICY = RetryPolicy(
    MOST, retry_on=Refused, initial_delay_seconds=1.0, backoff_multiplier=2.0, max_delay_seconds=5.0, jitter=False
)
DELAYS = [1.0, 2.0, 4.0, 5.0]


@pytest.mark.parametrize("failures", range(MOST + 1))
async def test_a_node_that_fails_so_often_waits_as_its_policy_says(run_plan, failures):
    clock, starts = VirtualClock(), []

    @task(retry=POLICY)
    async def node(ctx: AsyncTaskContext):
        starts.append(clock.monotonic())
        assert ctx.attempt == len(starts)
        if ctx.attempt <= failures:
            raise Refused(f"attempt {ctx.attempt}")

    ran = await run_plan({node: ()}, clock=clock)
    (result,) = ran.result.results.values()
    assert starts == [sum(DELAYS[:number]) for number in range(min(failures + 1, MOST))]
    assert [event.delay for event in ran.events if isinstance(event, NodeRetrying)] == DELAYS[:failures]
    assert result.status is (Status.FAILED if failures == MOST else Status.SUCCEEDED)
    assert [error.message for error in result.retried] == [
        f"attempt {number + 1}" for number in range(min(failures, 4))
    ]
    if failures == MOST:
        assert result.error.message == "attempt 5"
        assert result.error.type.endswith("Refused")


async def test_jitter_shortens_a_delay_by_up_to_a_half(run_plan):
    """The draws of these tests are all 0."""
    clock, starts = VirtualClock(), []

    @task(retry=RetryPolicy(3, initial_delay_seconds=4.0))
    async def node(ctx: AsyncTaskContext):
        starts.append(clock.monotonic())
        raise Refused

    await run_plan({node: ()}, clock=clock)
    assert starts == [0.0, 2.0, 6.0]


async def test_only_what_is_listed_is_tried_again(run_plan):
    attempts = []

    @task(retry=POLICY)
    async def node(ctx: AsyncTaskContext):
        attempts.append(ctx.attempt)
        raise Refused if ctx.attempt == 1 else Unlisted("for good")

    ran = await run_plan({node: ()}, clock=VirtualClock())
    (result,) = ran.result.results.values()
    assert attempts == [1, 2]
    assert result.error.type.endswith("Unlisted")


async def test_no_attempt_starts_after_max_elapsed_seconds(run_plan):
    clock, starts = VirtualClock(), []

    @task(retry=RetryPolicy(9, initial_delay_seconds=1.0, max_elapsed_seconds=6.0, jitter=False))
    async def node(ctx: AsyncTaskContext):
        starts.append(clock.monotonic())
        await clock.sleep(0.5)
        raise Refused

    await run_plan({node: ()}, clock=clock)
    assert starts == [0.0, 1.5, 4.0]


async def test_a_run_that_is_stopped_during_a_back_off_ends_at_once(run_plan):
    @task(retry=RetryPolicy(2, initial_delay_seconds=3_600.0, max_delay_seconds=3_600.0))
    async def waiting(ctx: AsyncTaskContext):
        raise Refused

    @task
    async def failing(ctx: AsyncTaskContext):
        await anyio.sleep(0.05)
        raise Unlisted

    with anyio.fail_after(5):
        ran = await run_plan({waiting: (), failing: ()}, fail_fast=True)
    assert ran.statuses() == {"waiting": "cancelled", "failing": "failed"}
