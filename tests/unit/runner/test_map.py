"""ctx.map and ctx.checkpoint in runs."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading

import anyio
import pytest

from sqlbuild.domain.events import NodeProgress
from sqlbuild.errors import EngineError
from sqlbuild.retries import RetryPolicy
from sqlbuild.runner.rates import Rate
from sqlbuild.tasks import AsyncTaskContext, TaskContext, task
from sqlbuild.testing import VirtualClock

AGAIN = RetryPolicy(4, initial_delay_seconds=0.0)


def error_of(ran, name="node"):
    return next(result.error for result in ran.result.results.values() if result.name == name)


def ended_well(ran):
    assert error_of(ran) is None, error_of(ran).traceback
    return True


# -- results ----------------------------------------------------------------------------------------------------------


async def test_results_come_in_the_order_of_the_items(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def double(number):
            await anyio.sleep(0.001 * (5 - number % 5))
            return number * 2

        assert await ctx.map(double, range(20)) == [number * 2 for number in range(20)]
        assert [each async for each in ctx.map(double, range(20), limit=3)] == [number * 2 for number in range(20)]
        assert await ctx.map(double, []) == []
        assert [each async for each in ctx.map(double, [])] == []

    assert ended_well(await run_plan({node: ()}))


async def test_threads_help_and_results_come_in_order(run_plan):
    names = set()

    @task
    def node(ctx: TaskContext):
        together = threading.Barrier(3)

        def double(number):
            names.add(threading.current_thread().name)
            if number < 3:
                together.wait(10)
            return number * 2

        assert ctx.map(double, range(30)) == [number * 2 for number in range(30)]
        assert ctx.map(double, iter([])) == []

    assert ended_well(await run_plan({node: ()}, {"threads": 3}))
    assert len(names) == 3


async def test_items_are_pulled_only_as_fast_as_they_are_worked_on(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        pulled, done = 0, 0
        ahead = []

        def numbers():
            nonlocal pulled
            for number in range(100):
                pulled += 1
                ahead.append(pulled - done)
                yield number

        async def async_numbers():
            for number in numbers():
                await anyio.sleep(0)
                yield number

        async def work(number):
            nonlocal done
            await anyio.sleep(0)
            done += 1
            return number

        for items in (numbers, async_numbers):
            pulled = done = 0
            assert await ctx.map(work, items(), limit=4) == list(range(100))
            pulled, done, read = 0, 0, 0
            async for number in ctx.map(work, items(), limit=4):
                assert number == read
                read += 1
                await anyio.sleep(0.001)
                assert pulled - read <= 9
        assert max(ahead) <= 9

    assert ended_well(await run_plan({node: ()}))


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_never_more_calls_at_once_than_the_limit(run_plan, limit):
    most = {}

    def count(ctx, at_once):
        most[ctx] = max(most.get(ctx, 0), at_once)

    @task
    async def on_the_loop(ctx: AsyncTaskContext):
        inside = 0

        async def work(_):
            nonlocal inside
            inside += 1
            count("loop", inside)
            await anyio.sleep(0.001)
            inside -= 1

        await ctx.map(work, range(20), limit=limit)

    @task
    def on_threads(ctx: TaskContext):
        lock, inside = threading.Lock(), []

        def work(number):
            with lock:
                inside.append(number)
                count("threads", len(inside))
            threading.Event().wait(0.001)
            with lock:
                inside.remove(number)

        ctx.map(work, range(20), limit=limit)

    ran = await run_plan({on_the_loop: (), on_threads: ()}, {"threads": 4})
    assert ran.result.exit_code == 0
    assert most["loop"] == limit
    assert most["threads"] <= min(limit, 4)


async def test_an_item_notices_nothing_of_the_one_before_it_in_its_worker(run_plan):
    variable = contextvars.ContextVar("variable", default=0)

    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            assert variable.get() == 0
            variable.set(number)
            await anyio.sleep(0)

        await ctx.map(work, range(1, 20), limit=2)

    assert ended_well(await run_plan({node: ()}))


async def test_maps_inside_maps_work(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def inner(number):
            return number

        async def outer(number):
            return sum(await ctx.map(inner, range(number)))

        assert await ctx.map(outer, range(10), limit=2) == [sum(range(number)) for number in range(10)]

    @task
    def threads(ctx: TaskContext):
        def outer(number):
            return sum(ctx.map(lambda each: each, range(number)))

        assert ctx.map(outer, range(10)) == [sum(range(number)) for number in range(10)]

    ran = await run_plan({node: (), threads: ()}, {"threads": 2})
    assert ran.result.exit_code == 0


async def test_a_map_that_is_left_early_ends_its_calls(run_plan):
    began, ended, kept = [], [], []

    async def work(number):
        began.append(number)
        try:
            if number:
                await anyio.sleep_forever()
        finally:
            ended.append(number)

    @task
    async def node(ctx: AsyncTaskContext):
        async for _ in ctx.map(work, range(10), limit=3):
            break
        with anyio.fail_after(5):
            while len(ended) < len(began):
                await anyio.sleep(0.001)

    @task
    async def keeps_it(ctx: AsyncTaskContext):
        kept.append(aiter(ctx.map(work, range(10), limit=3)))
        await anext(kept[0])

    ran = await run_plan({node: (), keeps_it: (node,)})
    assert ran.result.exit_code == 0
    assert sorted(began) == sorted(ended) == [0, 0, 1, 1, 2, 2, 3, 3]


async def test_a_map_that_nobody_awaits_is_an_error(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(_): ...

        ctx.map(work, [1])

    assert "ctx.map(...)" in error_of(await run_plan({node: ()})).message


async def test_a_map_takes_a_pool_around_each_call(run_plan):
    clock, moments = VirtualClock(), []

    @task
    async def node(ctx: AsyncTaskContext):
        async def work(_):
            moments.append(clock.monotonic())

        await ctx.map(work, range(5), pool=("crm", "mail"))

    @task
    def threads(ctx: TaskContext):
        ctx.map(lambda _: None, range(5), pool="crm")

    await run_plan({node: ()}, pools={"crm": 1, "mail": 1}, rates={"crm": Rate(per_second=1.0)}, clock=clock)
    assert [round(moment) for moment in moments] == [0, 1, 2, 3, 4]
    ran = await run_plan({threads: ()}, pools={"crm": 1}, rates={"crm": Rate(per_second=1.0)}, clock=clock)
    assert ran.result.exit_code == 0
    assert clock.monotonic() >= 8.0


async def test_a_node_gets_the_thread_that_another_node_was_lent(run_plan):
    started, all_at_work, names = threading.Event(), threading.Event(), set()

    @task
    def mapping(ctx: TaskContext):
        together = threading.Barrier(3)

        def numbers():
            number = 0
            while not started.is_set():
                yield (number := number + 1)

        def work(number):
            names.add(threading.current_thread().name)
            if number <= 3:
                together.wait(10)
                all_at_work.set()

        ctx.map(work, numbers())

    @task
    async def when_all_are_at_work(ctx: AsyncTaskContext):
        await anyio.to_thread.run_sync(all_at_work.wait, 10)

    @task
    def needs_a_thread(ctx: TaskContext):
        started.set()

    nodes = {mapping: (), when_all_are_at_work: (), needs_a_thread: (when_all_are_at_work,)}
    ran = await run_plan(nodes, {"threads": 3})
    assert ran.result.exit_code == 0
    assert len(names) == 3


# -- errors -----------------------------------------------------------------------------------------------------------


class Refused(OSError):
    pass


async def test_the_first_error_cancels_the_rest_and_names_its_item(run_plan):
    cancelled = []

    @task
    async def node(ctx: AsyncTaskContext):
        async def work(row):
            if row[0] == 3:
                await anyio.sleep(0.001)
                raise Refused("no")
            try:
                await anyio.sleep_forever()
            except BaseException:
                cancelled.append(row[0])
                raise

        await ctx.map(work, ((number, "x" * 1_000) for number in range(10)), limit=5)

    error = error_of(await run_plan({node: ()}))
    assert error.type.endswith("Refused")
    assert "in ctx.map(), item 3: (3, 'xxx" in error.traceback
    assert len(error.traceback) < 3_000
    assert sorted(cancelled) == [0, 1, 2, 4]


async def test_retry_on_sees_the_error_of_the_item(run_plan):
    @task(retry=RetryPolicy(2, retry_on=Refused, initial_delay_seconds=0.0))
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            if ctx.attempt == 1:
                raise Refused

        await ctx.map(work, range(10))

    @task(retry=RetryPolicy(2, retry_on=Refused, initial_delay_seconds=0.0))
    def threads(ctx: TaskContext):
        def work(number):
            if ctx.attempt == 1:
                raise Refused

        ctx.map(work, range(10))

    ran = await run_plan({node: (), threads: ()})
    assert [result.attempt for result in ran.result.results.values()] == [2, 2]
    assert ran.result.exit_code == 0


async def test_an_error_while_results_are_read_comes_after_those_before_it(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            if number == 3:
                raise Refused
            return number

        read = []
        with pytest.raises(Refused):  # noqa: PT012
            async for each in ctx.map(work, range(10), limit=2):
                read.append(each)
        assert read == [0, 1, 2]

    assert ended_well(await run_plan({node: ()}))


async def test_items_that_cannot_be_read_end_the_map(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        def items():
            yield 1
            raise Refused("no more")

        async def async_items():
            yield 1
            raise Refused("no more")

        async def work(number): ...

        for each in (items, async_items):
            with pytest.raises(Refused) as raised:
                await ctx.map(work, each())
            assert "item 1" in raised.value.__notes__[0]

    @task
    def threads(ctx: TaskContext):
        def items():
            yield 1
            raise Refused("no more")

        ctx.map(lambda _: None, items())

    ran = await run_plan({node: (), threads: ()})
    assert ended_well(ran)
    assert error_of(ran, "threads").message == "no more"


async def test_on_threads_the_first_error_ends_the_map_when_calls_under_way_have_ended(run_plan):
    called = []

    @task
    def node(ctx: TaskContext):
        both = threading.Barrier(2)

        def work(number):
            called.append(number)
            both.wait(10)
            if number == 1:
                raise Refused("no")
            failed.wait(0.05)
            called.append("ended")

        failed = threading.Event()
        try:
            ctx.map(work, range(100), limit=2)
        finally:
            assert "ended" in called

    error = error_of(await run_plan({node: ()}, {"threads": 2}))
    assert error.type.endswith("Refused")
    assert "in ctx.map(), item 1: 1" in error.traceback
    assert len(called) <= 4


async def test_functions_of_the_wrong_kind_are_refused(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        await ctx.map(lambda number: number, [1])

    @task
    def threads(ctx: TaskContext):
        async def work(number): ...

        ctx.map(work, [1])

    @task
    def items(ctx: TaskContext):
        async def numbers():
            yield 1

        ctx.map(lambda number: number, numbers())

    ran = await run_plan({node: (), threads: (), items: ()})
    assert "takes an async function" in error_of(ran).message
    assert "takes a plain function" in error_of(ran, "threads").message
    assert "async iterable" in error_of(ran, "items").message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 0}, "limit must be 1 or more, not 0"),
        ({"limit": "4"}, "limit must be a whole number, not '4'"),
        ({"limit": True}, "limit must be a whole number, not True"),
        ({"pool": 3}, "takes the name of a pool, or several, not 3"),
        ({"pool": ()}, "takes the name of a pool"),
        ({"key": "id"}, "key must be a function of an item, not str"),
        ({"items": 3}, "int cannot be iterated"),
        ({"fn": 3}, "fn must be a function, not int"),
    ],
)
async def test_arguments_that_make_no_sense_are_refused(run_plan, arguments, message):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number): ...

        await ctx.map(**{"fn": work, "items": [], **arguments})

    @task
    def threads(ctx: TaskContext):
        ctx.map(**{"fn": lambda number: number, "items": [], **arguments})

    ran = await run_plan({node: (), threads: ()})
    assert message in error_of(ran).message
    assert message in error_of(ran, "threads").message


async def test_a_cancellation_that_nobody_asked_for_is_the_error_of_its_item(run_plan, anyio_backend_name):
    if anyio_backend_name == "trio":
        pytest.skip("on trio nobody can raise it")

    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            if number == 3:
                raise anyio.get_cancelled_exc_class()
            await anyio.sleep(0)
            return number

        await ctx.map(work, range(10))

    assert "CancelledError" in error_of(await run_plan({node: ()})).type


# -- what is kept -----------------------------------------------------------------------------------------------------


async def test_a_retry_repeats_only_what_was_not_done_and_gives_stored_results(run_plan):
    calls = []

    def results(attempt):
        return [{"number": [number, attempt if number > 5 else 1]} for number in range(10)]

    @task(retry=AGAIN)
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            calls.append(number)
            if number == 6 and ctx.attempt == 1:
                await anyio.sleep(0.01)
                raise Refused
            return {"number": (number, ctx.attempt)}

        return await ctx.map(work, range(10), limit=7, key=lambda number: number)

    ran = await run_plan({node: ()})
    assert ended_well(ran)
    assert calls.count(6) == 2
    assert len(calls) == 11 - (10 - max(calls[:-1]) - 1) or set(calls) == set(range(10))
    assert {number: calls.count(number) for number in range(6)} == dict.fromkeys(range(6), 1)
    texts = ran.journal.read().checkpoints["task:node"].texts
    assert len(texts) == 1
    (kept,) = texts.values()
    assert kept["3"] == '{"number":[3,1]}'
    assert kept.keys() == {str(number) for number in range(10)}


async def test_a_retry_on_threads_repeats_only_what_was_not_done(run_plan):
    calls = []

    @task(retry=AGAIN)
    def node(ctx: TaskContext):
        def work(number):
            calls.append(number)
            if number == 6 and ctx.attempt < 3:
                raise Refused
            return (number,)

        assert ctx.map(work, range(10), key=str) == [[number] for number in range(10)]

    assert ended_well(await run_plan({node: ()}, {"threads": 3}))
    assert {number: calls.count(number) for number in range(10)} == dict.fromkeys(range(10), 1) | {6: 3}


async def test_calls_under_way_may_end_when_another_fails_and_none_is_begun(run_plan):
    """With keys: what is done must not be repeated. Calls that wait for a pool have not begun."""
    calls, in_pool = [], []

    @task(retry=AGAIN)
    async def node(ctx: AsyncTaskContext):
        failed = anyio.Event()

        async def work(number):
            calls.append(number)
            async with ctx.pool("crm"):
                in_pool.append(number)
                if number == 0 and ctx.attempt == 1:
                    await anyio.wait_all_tasks_blocked()
                    failed.set()
                    raise Refused
                if ctx.attempt == 1:
                    await failed.wait()
                    for _ in range(20):
                        await anyio.sleep(0.001)
            return number

        with anyio.fail_after(5):
            return await ctx.map(work, range(12), limit=8, key=lambda number: number)

    ran = await run_plan({node: ()}, pools={"crm": 3})
    assert ended_well(ran)
    assert in_pool[:3] == [0, 1, 2]
    assert sorted(in_pool) == [0, 0, *range(1, 12)]


async def test_a_call_that_does_not_end_is_cancelled_after_a_moment(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            if number == 0:
                raise Refused
            await anyio.sleep_forever()

        await ctx.map(work, range(3), key=lambda number: number)

    assert error_of(await run_plan({node: ()})).type.endswith("Refused")


@pytest.mark.parametrize("is_async", [True, False])
async def test_keys_must_be_unique(run_plan, is_async):
    if is_async:

        @task
        async def node(ctx: AsyncTaskContext):
            async def work(row): ...

            await ctx.map(work, [(1, "a"), (2, "b"), (1, "c")], key=lambda row: row[0], limit=1)

    else:

        @task
        def node(ctx: TaskContext):
            ctx.map(lambda row: None, [(1, "a"), (2, "b"), (1, "c")], key=lambda row: row[0])

    error = error_of(await run_plan({node: ()}))
    assert "the items 0 and 2 have the same key 1" in error.message


async def test_keys_of_different_types_and_functions_are_kept_apart(run_plan):
    @task(retry=AGAIN)
    async def node(ctx: AsyncTaskContext):
        async def one(each):
            return f"one {each!r}"

        async def two(each):
            return f"two {each!r}"

        items = [1, "1", 1.5, (1, 2), (1, "2")]
        assert await ctx.map(one, items, key=lambda each: each) == [f"one {each!r}" for each in items]
        assert await ctx.map(two, items, key=lambda each: each) == [f"two {each!r}" for each in items]
        if ctx.attempt == 1:
            raise Refused

    assert ended_well(await run_plan({node: ()}))


async def test_a_key_of_an_earlier_map_is_refused_but_not_after_that_map_failed(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        failures = iter([True, False])

        async def work(number):
            if number == 2 and next(failures):
                raise Refused
            return number

        with pytest.raises(Refused):
            await ctx.map(work, [1, 2], key=str, limit=1)
        assert await ctx.map(work, [1, 2], key=str) == [1, 2]
        await ctx.map(work, [2, 3], key=str)

    error = error_of(await run_plan({node: ()}))
    assert "the key '2' was given to an earlier ctx.map()" in error.message


@pytest.mark.parametrize("key", [lambda _: None, lambda _: object(), lambda _: float("nan")])
async def test_a_key_that_is_none_fails_with_its_item(run_plan, key):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(row): ...

        await ctx.map(work, [7], key=key)

    error = error_of(await run_plan({node: ()}))
    assert "key" in error.message
    assert "item 0: 7" in error.traceback


async def test_a_result_that_cannot_be_kept_fails_with_its_item(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(row):
            return {"raw": b"x"}

        await ctx.map(work, [7], key=str)

    error = error_of(await run_plan({node: ()}))
    assert error.type == "UnstorableResult"
    assert '["raw"] is of type bytes' in error.message


async def test_checkpoints_are_read_by_the_next_attempt_and_are_in_the_journal(run_plan):
    seen = []

    @task(retry=AGAIN)
    async def node(ctx: AsyncTaskContext):
        seen.append(dict(ctx.checkpoints))
        ctx.checkpoint("page", {"next": (ctx.attempt, None)})
        assert ctx.checkpoints["page"] == {"next": [ctx.attempt, None]}
        if ctx.attempt < 3:
            raise Refused

    @task(retry=AGAIN)
    def threads(ctx: TaskContext):
        with concurrent.futures.ThreadPoolExecutor(1) as helper:
            helper.submit(ctx.checkpoint, key="page", value=ctx.attempt).result()
        assert "page" in ctx.checkpoints
        assert len(ctx.checkpoints) == ctx.attempt
        ctx.checkpoint(f"attempt {ctx.attempt}", None)
        if ctx.attempt == 1:
            raise Refused
        assert ctx.checkpoints.get("attempt 1", "nothing") is None

    ran = await run_plan({node: (), threads: ()})
    assert ran.result.exit_code == 0
    assert seen == [{}, {"page": {"next": [1, None]}}, {"page": {"next": [2, None]}}]
    kept = ran.journal.read().checkpoints
    assert kept["task:node"].texts == {"": {"page": '{"next":[3,null]}'}}
    assert kept["task:node"].fingerprint == "t"


async def test_checkpoints_of_the_run_that_is_resumed_are_there(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            return "new"

        results = await ctx.map(work, [1, 2], key=lambda number: number)
        return [*results, ctx.checkpoints["page"]]

    scope = "test_checkpoints_of_the_run_that_is_resumed_are_there.<locals>.node.<locals>.work"
    ran = await run_plan({node: ()}, checkpoints={"task:node": {"": {"page": "7"}, scope: {"1": '"old"'}}})
    (result,) = ran.result.results.values()
    assert result.payload == '["old","new",7]'


class FullJournal:
    """One that has no room for checkpoints."""

    def __init__(self, journal):
        self._journal = journal

    def __getattr__(self, name):
        return getattr(self._journal, name)

    def checkpoints(self, *_):
        raise EngineError("the journal cannot be written")


async def test_a_journal_that_cannot_be_written_ends_the_run(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number): ...

        await ctx.map(work, range(3), key=str)

    @task
    def threads(ctx: TaskContext):
        with pytest.raises(EngineError):
            ctx.checkpoint("page", 1)
        ctx.map(lambda number: number, range(3), key=str)

    for each in (node, threads):
        with pytest.raises(EngineError, match="cannot be written"):
            await run_plan({each: ()}, wrap_journal=FullJournal)


async def test_a_checkpoint_that_is_no_json_is_refused(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        with pytest.raises(TypeError, match="key must be a text, not int"):
            ctx.checkpoint(3, 1)
        ctx.checkpoint("page", {"at": object()})

    error = error_of(await run_plan({node: ()}))
    assert error.type == "UnstorableResult"
    assert 'checkpoint["at"]' in error.message


# -- progress ---------------------------------------------------------------------------------------------------------


async def test_progress_is_shown_without_the_author_doing_anything(run_plan):
    @task
    async def node(ctx: AsyncTaskContext):
        async def work(number):
            await anyio.sleep(0)

        await ctx.map(work, range(500))
        await ctx.map(work, iter(range(7)), key=lambda number: number)

    ran = await run_plan({node: ()})
    told = [(event.done, event.total) for event in ran.events if isinstance(event, NodeProgress)]
    assert told[0] == (0, 500)
    assert (500, 500) in told
    assert (0, None) in told
    assert told[-1] == (7, None)
    assert len(told) < 30


async def test_a_map_of_ten_thousand_items_keeps_the_event_loop_free_and_writes_together(run_plan):
    lines = []

    @task
    async def node(ctx: AsyncTaskContext):
        looks, ended = 0, False

        async def look():
            nonlocal looks
            while not ended:
                looks += 1
                await anyio.sleep(0)

        async def work(number): ...

        async with anyio.create_task_group() as looking:
            looking.start_soon(look)
            await ctx.map(work, range(10_000), key=lambda number: number)
            ended = True
        # However fast the machine is: others have their turn again and again.
        assert looks > 2

    ran = await run_plan({node: ()})
    assert ended_well(ran)
    lines = [entry for entry, _ in ran.journal._entries if "checkpoints" in entry]
    assert sum(len(entry["values"]) for entry in lines) == 10_000
    assert len(lines) < 1_000
