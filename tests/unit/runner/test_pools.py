"""ctx.pool, rates and Retry-After in runs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import contextvars
import threading

import anyio
import pytest

from sqlbuild.domain.events import PoolPaused, PoolUse
from sqlbuild.errors import NodeError, PoolError, PoolOrder
from sqlbuild.retries import RetryAfter, RetryPolicy
from sqlbuild.runner.rates import Rate
from sqlbuild.tasks import AsyncTaskContext, TaskContext, task
from sqlbuild.testing import VirtualClock


class Gauge:
    """How many are inside, and the most there ever were; from any thread."""

    def __init__(self):
        self.now = self.most = self.total = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *error):
        with self._lock:
            self.now -= 1


def error_of(ran, name="node"):
    return next(result.error for result in ran.result.results.values() if result.name == name)


async def test_a_block_holds_a_slot_while_it_lasts_and_no_more_than_there_are(run_plan):
    gauge = Gauge()

    def make(number):
        @task(name=f"node_{number}")
        async def node(ctx: AsyncTaskContext):
            for _ in range(5):
                async with ctx.pool("crm"):
                    with gauge:
                        await anyio.sleep(0.001)

        return node

    ran = await run_plan({make(number): () for number in range(8)}, pools={"crm": 3})
    assert ran.result.exit_code == 0
    assert (gauge.most, gauge.total) == (3, 40)


async def test_threads_and_helper_threads_share_the_same_slots(run_plan):
    gauge = Gauge()

    def make(number):
        @task(name=f"node_{number}")
        def node(ctx: TaskContext):
            def call(_):
                with ctx.pool("crm"), gauge:
                    pass

            with concurrent.futures.ThreadPoolExecutor(4) as helpers:
                list(helpers.map(call, range(20)))

        return node

    ran = await run_plan({make(number): () for number in range(4)}, pools={"crm": 2})
    assert ran.result.exit_code == 0
    assert gauge.most <= 2
    assert gauge.total == 80


async def test_a_nodes_own_slot_is_lent_to_one_block_and_further_ones_take_their_own(run_plan):
    gauge, alone = Gauge(), Gauge()

    @task(pool="crm")
    async def node(ctx: AsyncTaskContext):
        async def call():
            async with ctx.pool("crm"):
                with gauge:
                    await anyio.sleep(0.001)

        async with anyio.create_task_group() as calls:
            for _ in range(6):
                calls.start_soon(call)
        with alone:
            pass

    for slots, most in ((1, 1), (2, 2), (4, 4)):
        gauge.most = 0
        ran = await run_plan({node: ()}, pools={"crm": slots})
        assert ran.result.exit_code == 0
        assert gauge.most == most


async def test_several_pools_are_taken_at_once_in_whatever_order_they_are_named(run_plan):
    a, b = Gauge(), Gauge()

    def make(number, *pools):
        @task(name=f"node_{number}")
        async def node(ctx: AsyncTaskContext):
            for _ in range(10):
                async with ctx.pool(*pools):
                    with a, b:
                        await anyio.sleep(0)

        return node

    nodes = [make(1, "a", "b"), make(2, "b", "a"), make(3, "a", "b"), make(4, "b", "a")]
    ran = await run_plan(dict.fromkeys(nodes, ()), pools={"a": 1, "b": 1})
    assert ran.result.exit_code == 0
    assert (a.most, b.most, a.total) == (1, 1, 40)


async def test_nodes_that_need_two_pools_in_opposite_orders_all_run(run_plan):
    def make(number, *pools):
        @task(name=f"node_{number}", pool=pools)
        async def node(ctx: AsyncTaskContext):
            await anyio.sleep(0)

        return node

    nodes = [make(number, *(("a", "b") if number % 2 else ("b", "a"))) for number in range(20)]
    ran = await run_plan(dict.fromkeys(nodes, ()), pools={"a": 1, "b": 2})
    assert ran.result.exit_code == 0


async def test_a_block_inside_another_must_name_a_later_pool(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async with ctx.pool("first"), ctx.pool("second"), ctx.pool("third"):
            pass
        async with ctx.pool("second"):
            with pytest.raises(PoolOrder, match=r'POOL_ORDER: ctx.pool."first".* holds "second"') as raised:
                async with ctx.pool("first"):
                    pass
            assert 'ctx.pool("first", "second")' in raised.value.help
            with pytest.raises(PoolOrder, match='holds "second" could wait for ever for a slot'):
                async with ctx.pool("second"):
                    pass

            async def below():
                with pytest.raises(PoolOrder):
                    async with ctx.pool("first"):
                        pass

            async with anyio.create_task_group() as calls:
                calls.start_soon(below)
        async with ctx.pool("first"):
            pass

    ran = await run_plan({node: ()}, pools={"first": 1, "second": 1, "third": 1})
    assert error_of(ran) is None


async def test_a_node_that_holds_a_pool_may_wait_only_for_later_ones_or_for_its_own(run_plan):
    @task(pool="second")
    async def node(ctx: AsyncTaskContext):
        async with ctx.pool("second"), ctx.pool("third"):
            pass
        async with ctx.pool("second", "third"):
            pass
        with pytest.raises(PoolOrder, match=r'"first".* in a node that holds "second"') as raised:
            async with ctx.pool("first"):
                pass
        assert 'pool=("first", "second")' in raised.value.help

    ran = await run_plan({node: ()}, pools={"first": 1, "second": 1, "third": 1})
    assert error_of(ran) is None


async def test_a_thread_of_ones_own_counts_as_inside_of_what_its_node_holds(run_plan):
    @task
    def node(ctx: TaskContext):
        def call():
            with ctx.pool("first"):
                pass

        with concurrent.futures.ThreadPoolExecutor(1) as helper:
            with ctx.pool("second"):
                assert isinstance(helper.submit(call).exception(), PoolOrder)
                known = contextvars.copy_context()
                assert isinstance(helper.submit(known.run, call).exception(), PoolOrder)
            helper.submit(call).result()

    ran = await run_plan({node: ()}, pools={"first": 1, "second": 1})
    assert error_of(ran) is None


async def test_an_unknown_pool_is_named_with_those_that_there_are(run_plan):
    @task
    def node(ctx: TaskContext):
        with ctx.pool("crm"):
            pass

    error = error_of(await run_plan({node: ()}, pools={"crm_api": 1, "mail": 1}))
    assert error.type == PoolError.__name__ == "PoolError"
    assert 'ctx.pool("crm"): the settings have no such pool; they have crm_api, mail' in error.message
    assert "[pools.crm]" in error.help


@pytest.mark.parametrize("names", [(), (3,), (("a", "b"),)])
async def test_something_that_is_no_name_is_refused(run_plan, names):
    @task
    def node(ctx: TaskContext):
        ctx.pool(*names)

    error = error_of(await run_plan({node: ()}, pools={"a": 1}))
    assert error.type == "TypeError"
    assert "takes the name of a pool" in error.message


async def test_the_wrong_kind_of_with_says_what_to_write(run_plan):
    @task
    async def wrong(ctx: AsyncTaskContext):
        with ctx.pool("a"):
            pass

    @task
    def wrong_too(ctx: TaskContext):
        async def block():
            async with ctx.pool("a"):
                pass

        block().send(None)

    ran = await run_plan({wrong: (), wrong_too: ()}, pools={"a": 1})
    assert "`async with ctx.pool(...)`" in error_of(ran, "wrong").help
    assert "`with ctx.pool(...)`" in error_of(ran, "wrong_too").help


async def test_a_waiter_that_is_cancelled_loses_no_slot_and_delays_nobody(run_plan):
    """Cancelled while it waits, in the very moment in which it is granted, and just after."""
    served = []

    @task
    async def node(ctx: AsyncTaskContext):
        async def wait(scope):
            with scope:
                async with ctx.pool("crm"):
                    await anyio.sleep_forever()

        async def last():
            async with ctx.pool("crm"):
                served.append("last")

        async def hold(leave):
            async with ctx.pool("crm"):
                await leave.wait()

        for steps in range(12):
            async with anyio.create_task_group() as calls:
                scope, leave = anyio.CancelScope(), anyio.Event()
                for call, *args in ((hold, leave), (wait, scope), (last,)):
                    calls.start_soon(call, *args)
                    await anyio.wait_all_tasks_blocked()
                # The block is left now, and the waiter granted its slot, within the next steps.
                leave.set()
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
        async with ctx.pool("crm"):
            served.append("end")

    ran = await run_plan({node: ()}, pools={"crm": 1})
    assert error_of(ran) is None
    assert served == ["last"] * 12 + ["end"]


async def test_blocks_that_were_never_left_give_their_slots_back(run_plan):
    still_there = []

    @task
    async def first(ctx: AsyncTaskContext):
        stack = contextlib.AsyncExitStack()
        still_there.append(stack)
        await stack.enter_async_context(ctx.pool("crm"))
        await stack.enter_async_context(ctx.pool("files"))

    @task
    def second(ctx: TaskContext):
        stack = contextlib.ExitStack()
        still_there.append(stack)
        stack.enter_context(ctx.pool("crm"))

    @task
    async def dropped(ctx: AsyncTaskContext):
        await ctx.pool("crm").__aenter__()

    @task
    async def last(ctx: AsyncTaskContext):
        async with ctx.pool("crm", "files"):
            pass

    nodes = {first: (), second: (first,), dropped: (second,), last: (dropped,)}
    ran = await run_plan(nodes, pools={"crm": 1, "files": 1})
    assert ran.statuses() == {"first": "succeeded", "second": "succeeded", "dropped": "succeeded", "last": "succeeded"}
    assert len(still_there) == 2


@pytest.mark.parametrize("first_left", [0, 1])
async def test_blocks_are_left_in_any_order(run_plan, first_left):
    @task
    async def node(ctx: AsyncTaskContext):
        blocks = [ctx.pool("crm"), ctx.pool("files")]
        for block in blocks:
            await block.__aenter__()
        await blocks.pop(first_left).__aexit__(None, None, None)
        if first_left == 0:
            # Still inside of the second one, which stands behind it in the settings.
            with pytest.raises(PoolOrder):
                async with ctx.pool("crm"):
                    pass
        await blocks.pop().__aexit__(None, None, None)
        async with ctx.pool("crm"), ctx.pool("files"):
            pass

    ran = await run_plan({node: ()}, pools={"crm": 1, "files": 1})
    assert error_of(ran) is None


async def test_a_thread_that_outlives_its_node_keeps_its_slot_until_it_leaves(run_plan):
    gauge, go_on, entered = Gauge(), threading.Event(), threading.Event()
    late = []

    @task(pool="crm")
    def first(ctx: TaskContext):
        def outlive():
            with ctx.pool("crm"), gauge:
                entered.set()
                go_on.wait(10)

        def too_late():
            go_on.wait(10)
            try:
                with ctx.pool("crm"):
                    pass
            except NodeError as error:
                late.append(str(error))
            go_on_for_good.set()

        for target in (outlive, too_late):
            threading.Thread(target=target, daemon=True).start()
        entered.wait(10)

    go_on_for_good = threading.Event()

    @task
    async def second(ctx: AsyncTaskContext):
        async def call():
            async with ctx.pool("crm"):
                with gauge:
                    pass

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            go_on.set()
        await anyio.to_thread.run_sync(go_on_for_good.wait, 10)

    ran = await run_plan({first: (), second: (first,)}, pools={"crm": 1})
    assert ran.statuses() == {"first": "succeeded", "second": "succeeded"}
    assert (gauge.most, gauge.total) == (1, 2)
    assert "first has ended" in late[0]


async def test_a_full_pool_delays_no_node_that_needs_something_else(run_plan):
    ended = anyio.Event()

    @task(pool="crm")
    async def holder(ctx: AsyncTaskContext):
        await ended.wait()

    def make(number):
        @task(name=f"waiting_{number}", pool="crm")
        async def waiting(ctx: AsyncTaskContext): ...

        return waiting

    @task
    async def free(ctx: AsyncTaskContext):
        ended.set()

    nodes = [holder, *(make(number) for number in range(20)), free]
    ran = await run_plan(dict.fromkeys(nodes, ()), {"concurrency": 2}, pools={"crm": 1})
    assert ran.result.exit_code == 0


# -- rates ------------------------------------------------------------------------------------------------------------


def assert_rate(moments, per_second, burst):
    moments = sorted(moments)
    for count in range(1, len(moments)):
        least = min(last - first for first, last in zip(moments, moments[count:], strict=False))
        assert count + 1 <= per_second * least + burst
    allowed = per_second * (moments[-1] - moments[0]) + burst
    assert len(moments) >= 0.9 * allowed


@pytest.mark.deadline(120)
@pytest.mark.parametrize("burst", [1, 10])
async def test_2000_calls_of_40_nodes_keep_to_the_rate_and_use_it(run_plan, burst):
    clock, moments, gauge = VirtualClock(), [], Gauge()

    def make(number):
        @task(name=f"node_{number}")
        async def node(ctx: AsyncTaskContext):
            for _ in range(50):
                async with ctx.pool("crm"):
                    with gauge:
                        moments.append(clock.monotonic())
                        await clock.sleep(0.1)

        return node

    ran = await run_plan(
        {make(number): () for number in range(40)},
        {"concurrency": 64},
        pools={"crm": 8},
        rates={"crm": Rate(per_second=50.0, burst=burst)},
        clock=clock,
    )
    assert ran.result.exit_code == 0
    assert len(moments) == 2_000
    assert gauge.most <= 8
    assert_rate(moments, 50.0, burst)


async def test_each_attempt_of_a_node_takes_a_token(run_plan):
    clock, moments = VirtualClock(), []

    def make(number):
        @task(name=f"node_{number}", pool="crm", retry=RetryPolicy(3, initial_delay_seconds=0.0))
        async def node(ctx: AsyncTaskContext):
            moments.append(clock.monotonic())
            if ctx.attempt < 3:
                raise OSError

        return node

    ran = await run_plan(
        {make(number): () for number in range(4)},
        pools={"crm": 4},
        rates={"crm": Rate(per_second=2.0)},
        clock=clock,
    )
    assert ran.result.exit_code == 0
    assert len(moments) == 12
    assert_rate(moments, 2.0, 1)


async def test_blocks_on_threads_keep_to_the_rate(run_plan):
    clock = VirtualClock()

    @task
    def node(ctx: TaskContext):
        for _ in range(6):
            with ctx.pool("crm"):
                pass

    await run_plan({node: ()}, pools={"crm": 4}, rates={"crm": Rate(per_second=10.0, burst=2)}, clock=clock)
    assert clock.monotonic() >= 0.4


# -- waiting as told by the service -----------------------------------------------------------------------------------


async def test_one_answer_pauses_all_callers_of_that_pool_and_no_other(run_plan):
    clock, crm, mail = VirtualClock(), [], []

    @task
    async def told(ctx: AsyncTaskContext):
        with pytest.raises(RetryAfter):
            async with ctx.pool("crm"):
                raise RetryAfter(2)

    def make(number, pool, moments):
        @task(name=f"{pool}_{number}")
        async def node(ctx: AsyncTaskContext):
            async with ctx.pool(pool):
                moments.append(clock.monotonic())

        return node

    @task(pool="crm")
    async def node_of_the_pool(ctx: AsyncTaskContext):
        crm.append(clock.monotonic())

    nodes = {told: (), node_of_the_pool: (told,)}
    for number in range(5):
        nodes[make(number, "crm", crm)] = (told,)
        nodes[make(number, "mail", mail)] = (told,)
    ran = await run_plan(
        nodes,
        {"concurrency": 20},
        pools={"crm": 8, "mail": 8},
        rates={"crm": Rate(per_second=4.0, burst=3)},
        clock=clock,
    )
    assert ran.result.exit_code == 0
    assert mail == [0.0] * 5
    assert min(crm) == 2.0
    # Nobody rushes in after the pause: not even the burst is given at once.
    assert_rate(crm, 4.0, 1)
    (paused,) = [event for event in ran.events if isinstance(event, PoolPaused)]
    assert (paused.pool, paused.seconds, paused.name) == ("crm", 2.0, "told")


async def test_what_leaves_a_node_pauses_its_pools_and_it_starts_again_after_the_wait(run_plan):
    clock, starts = VirtualClock(), []

    @task(pool=("crm", "mail"), retry=RetryPolicy(2, retry_on=RetryAfter, initial_delay_seconds=0.5, jitter=False))
    async def told(ctx: AsyncTaskContext):
        starts.append(("told", clock.monotonic()))
        if ctx.attempt == 1:
            raise RetryAfter(3.0)

    def make(pool):
        @task(name=pool, pool=pool)
        async def other(ctx: AsyncTaskContext):
            starts.append((pool, clock.monotonic()))

        return other

    @task
    async def before(ctx: AsyncTaskContext):
        await clock.sleep(0.1)

    ran = await run_plan(
        {told: (), before: (), **{make(pool): (before,) for pool in ("crm", "mail", "free")}},
        pools={"crm": 9, "mail": 9, "free": 9},
        clock=clock,
    )
    assert ran.result.exit_code == 0
    assert sorted(starts) == [("crm", 3.0), ("free", 0.1), ("mail", 3.0), ("told", 0.0), ("told", 3.0)]


async def test_a_failure_that_is_not_retried_pauses_the_pools_too(run_plan):
    clock, starts = VirtualClock(), []

    @task(pool="crm")
    async def told(ctx: AsyncTaskContext):
        raise RetryAfter(3.0)

    @task(pool="crm")
    async def other(ctx: AsyncTaskContext):
        starts.append(clock.monotonic())

    await run_plan({told: (), other: ()}, {"concurrency": 1}, pools={"crm": 1}, clock=clock)
    assert starts == [3.0]


async def test_only_the_innermost_block_is_paused_and_not_the_node_around_it(run_plan):
    clock = VirtualClock()

    @task(pool="node", retry=RetryPolicy(2, initial_delay_seconds=0.0))
    async def told(ctx: AsyncTaskContext):
        if ctx.attempt == 1:
            async with ctx.pool("outer"), ctx.pool("inner"):
                raise RetryAfter(1.0)

    ran = await run_plan({told: ()}, pools={"node": 1, "outer": 1, "inner": 1}, clock=clock)
    assert [event.pool for event in ran.events if isinstance(event, PoolPaused)] == ["inner"]
    assert clock.monotonic() == 1.0


async def test_no_attempt_begins_after_max_elapsed_because_a_service_asked_to_wait(run_plan):
    clock = VirtualClock()

    @task(retry=RetryPolicy(5, max_elapsed_seconds=10.0, initial_delay_seconds=1.0))
    async def told(ctx: AsyncTaskContext):
        raise RetryAfter(8.0)

    ran = await run_plan({told: ()}, clock=clock)
    (result,) = ran.result.results.values()
    assert (result.attempt, clock.monotonic()) == (2, 8.0)


async def test_the_use_of_pools_by_blocks_is_told_now_and_then(run_plan):
    clock = VirtualClock()

    @task
    async def node(ctx: AsyncTaskContext):
        async def call():
            async with ctx.pool("crm"):
                await clock.sleep(1.0)

        async with anyio.create_task_group() as calls:
            for _ in range(3):
                calls.start_soon(call)

    ran = await run_plan({node: ()}, pools={"crm": 2}, clock=clock)
    uses = [event for event in ran.events if isinstance(event, PoolUse)]
    assert (uses[0].used, uses[0].waiting) == ({"pool:crm": 2}, {"pool:crm": 1})
    assert len(uses) < 10


async def test_a_stopped_run_leaves_no_thread_waiting_for_a_pool(run_plan):
    holding = threading.Event()

    @task
    def holder(ctx: TaskContext):
        with ctx.pool("crm"):
            holding.set()
            with pytest.raises(BaseException) as stopped, ctx.pool("mail"):
                pass
            raise stopped.value

    @task
    async def failing(ctx: AsyncTaskContext):
        await anyio.to_thread.run_sync(holding.wait, 10)
        await anyio.sleep(0.05)
        raise ValueError

    def make(pool):
        @task(name=pool)
        async def waiting(ctx: AsyncTaskContext):
            if pool == "crm":
                await anyio.to_thread.run_sync(holding.wait, 10)
            async with ctx.pool(pool):
                await anyio.sleep_forever()

        return waiting

    nodes = {make("mail"): (), failing: (), holder: (), make("crm"): ()}
    ran = await run_plan(nodes, pools={"crm": 1, "mail": 1}, fail_fast=True, grace=5.0)
    assert ran.statuses() == {"failing": "failed", "holder": "cancelled", "crm": "cancelled", "mail": "cancelled"}


# -- very many --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.deadline(120)
async def test_ten_thousand_nodes_never_exceed_a_limit_and_every_slot_comes_back(run_plan):
    """Lanes of 50, 16 and 4, pools of 3 and 1; a tenth fails, a tenth is cancelled in the middle of a block."""
    pools, lanes = {"a": 3, "b": 1}, {"concurrency": 50, "threads": 16, "connections": 4}
    inside = {name: Gauge() for name in (*pools, *lanes)}

    def make_async(number, pool):
        @task(name=f"async_{number}", pool=pool)
        async def node(ctx: AsyncTaskContext):
            with contextlib.ExitStack() as stack:
                for name in ("concurrency", *pool):
                    stack.enter_context(inside[name])
                if number % 10 == 1:
                    raise OSError
                if number % 4:
                    await anyio.sleep(0)
            if number % 7 == 0:
                with anyio.move_on_after(0 if number % 14 else 0.0005):
                    async with ctx.pool(*(pool or ("a", "b"))):
                        with contextlib.ExitStack() as stack:
                            for name in pool or ("a", "b"):
                                stack.enter_context(inside[name])
                            await anyio.sleep(0)

        return node

    def make_sync(number, pool):
        @task(name=f"sync_{number}", pool=pool)
        def node(ctx: TaskContext):
            with contextlib.ExitStack() as stack:
                for name in ("threads", *pool):
                    stack.enter_context(inside[name])
                if number % 10 == 1:
                    raise OSError
            if number % 9 == 0:
                with ctx.pool("b"), inside["b"]:
                    pass

        return node

    of_pools = [(), (), (), ("a",), ("b",), ("a", "b")]
    nodes = [make_async(number, of_pools[number % 6]) for number in range(9_000)]
    nodes += [make_sync(number, of_pools[number % 6]) for number in range(1_000)]
    ran = await run_plan(dict.fromkeys(nodes, ()), lanes, pools=pools)
    counts = {str(status): count for status, count in ran.result.counts().items()}
    assert counts == {"succeeded": 9_000, "failed": 1_000}
    for name, limit in (*pools.items(), ("concurrency", 50), ("threads", 16)):
        assert inside[name].now == 0
        assert inside[name].most <= limit
    assert inside["a"].most == 3
