from __future__ import annotations

import threading

import anyio
import pytest

from sqlbuild.domain.events import RunWarning
from sqlbuild.domain.ids import NodeId
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import task


class Client:
    """Notes in `said` what happens to it."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name = name
        self.said = said
        self.thread: int | None = None

    async def setup(self, ctx):
        await anyio.sleep(0)
        self.said.append(f"+{self.name} {ctx.run_id} {ctx.target}")

    async def teardown(self):
        await anyio.sleep(0)
        self.said.append(f"-{self.name}")


class BlockingClient(Client):
    def setup(self, ctx):
        self.thread = threading.get_ident()
        self.said.append(f"+{self.name}")

    def teardown(self):
        assert threading.get_ident() == self.thread or self.thread is not None
        self.said.append(f"-{self.name}")


class ContextClient:
    def __init__(self, said, gives=None):
        self.said = said
        self.gives = gives

    async def __aenter__(self):
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        self.said.append("+context")
        return self.gives

    async def __aexit__(self, *error):
        self.group.cancel_scope.cancel()
        await self.group.__aexit__(*error)
        self.said.append("-context")


@task
async def uses_a(ctx, a):
    return a.name


@task
def uses_b(ctx, *, b):
    return b.name


async def test_a_node_gets_the_providers_that_its_parameters_name(run_plan):
    said = []
    ran = await run_plan(
        {uses_a: (), uses_b: (uses_a,)}, providers={"a": Client("a", said), "b": BlockingClient("b", said)}
    )
    assert ran.statuses() == {"uses_a": "succeeded", "uses_b": "succeeded"}
    assert [result.payload for result in ran.result.results.values()] == ['"a"', '"b"']
    assert said == ["+a r1 dev", "+b", "-b", "-a"], "closed in reverse"


async def test_what_no_node_uses_is_never_set_up(run_plan):
    said = []
    await run_plan({uses_a: ()}, providers={"a": Client("a", said), "b": Client("b", said)})
    assert said == ["+a r1 dev", "-a"]


async def test_nodes_that_ask_at_once_wait_for_one_set_up(run_plan):
    said = []

    class Slow(Client):
        async def setup(self, ctx):
            await anyio.sleep(0.02)
            await super().setup(ctx)

    @task
    async def second(ctx, a):
        return a.said[0]

    @task
    def third(ctx, a):
        return a.said[0]

    ran = await run_plan({uses_a: (), second: (), third: ()}, providers={"a": Slow("a", said)})
    assert ran.result.exit_code == 0
    assert said == ["+a r1 dev", "-a"]


async def test_a_def_runs_off_the_event_loops_thread(run_plan):
    client = BlockingClient("a", [])
    await run_plan({uses_a: ()}, providers={"a": client})
    assert client.thread not in (None, threading.get_ident())


@pytest.mark.parametrize("gives", [None, "what it gives"])
async def test_an_async_context_manager_may_hold_a_task_group_open(run_plan, gives):
    said = []
    client = ContextClient(said, gives)

    @task
    async def asks(ctx, a):
        said.append(a is client if gives is None else a)

    ran = await run_plan({asks: ()}, providers={"a": client})
    assert ran.result.exit_code == 0
    assert said == ["+context", gives or True, "-context"]


async def test_a_failed_set_up_fails_every_node_that_uses_it_and_no_other(run_plan):
    attempts = []

    class Broken(Client):
        def setup(self, ctx):
            attempts.append(1)
            raise ConnectionError("no route to crm")

    @task(retry=RetryPolicy(max_attempts=3, initial_delay_seconds=0))
    def asks_too(ctx, a): ...

    said = []
    ran = await run_plan(
        {uses_a: (), asks_too: (), uses_b: ()}, providers={"a": Broken("a", said), "b": Client("b", said)}
    )
    assert ran.statuses() == {"uses_a": "failed", "asks_too": "failed", "uses_b": "succeeded"}
    for node in ("task:uses_a", "task:asks_too"):
        result = ran.result.results[NodeId(node)]
        assert result.error.type == "ProviderError"
        assert result.error.message == "the provider a could not be set up: ConnectionError: no route to crm"
        assert "in setup" in result.error.traceback
        assert "concurrent" not in result.error.traceback
        assert result.attempt == 1, "trying again cannot help"
    assert attempts == [1]
    assert said == ["+b r1 dev", "-b"], "what was not set up is not torn down"


async def test_ctx_providers_gives_them_too(run_plan):
    @task
    async def waits(ctx, a):
        return ctx.providers.a is a

    @task
    def blocks(ctx):
        return ctx.providers.b.name

    ran = await run_plan({waits: (), blocks: ()}, providers={"a": Client("a", []), "b": Client("b", [])})
    assert [result.payload for result in ran.result.results.values()] == ["true", '"b"']


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_unknown_name_tells_which_there_are(run_plan, is_async):
    async def waits(ctx):
        return ctx.providers.crm

    def blocks(ctx):
        return ctx.providers.crm

    node = task(name="asks")(waits if is_async else blocks)
    ran = await run_plan({node: ()}, providers={"a": Client("a", []), "b": Client("b", [])})
    error = ran.result.results[NodeId("task:asks")].error
    assert error.message == "there is no provider `crm`"
    assert error.help.endswith("there are: a, b")
    ran = await run_plan({node: ()})
    assert "this project has none" in ran.result.results[NodeId("task:asks")].error.message


async def test_an_async_node_that_hides_what_it_uses_is_told_to_name_it(run_plan):
    @task
    async def hides(ctx):
        return getattr(ctx.providers, "a")  # noqa: B009

    ran = await run_plan({hides: ()}, providers={"a": Client("a", [])})
    error = ran.result.results[NodeId("task:hides")].error
    assert "the provider a is not set up" in error.message
    assert "`async def hides(ctx, a)`" in error.help


async def test_private_attributes_are_no_providers(run_plan):
    @task
    def asks(ctx):
        return hasattr(ctx.providers, "_repr_html_")

    ran = await run_plan({asks: ()}, providers={"a": Client("a", [])})
    assert ran.result.results[NodeId("task:asks")].payload == "false"


@task
async def bad(ctx, a):
    raise ValueError


async def test_they_are_closed_after_a_failure_and_after_fail_fast(run_plan):
    for fail_fast in (False, True):
        said = []
        ran = await run_plan({bad: (), uses_b: (bad,)}, providers={"a": Client("a", said)}, fail_fast=fail_fast)
        assert ran.result.exit_code == 1
        assert said == ["+a r1 dev", "-a"]


async def test_they_are_closed_after_the_nodes_that_were_cancelled(run_plan):
    said = []

    @task
    async def waits(ctx, a):
        try:
            await anyio.sleep(60)
        finally:
            said.append("cleaned up")

    ran = await run_plan({waits: (), bad: ()}, providers={"a": Client("a", said)}, fail_fast=True)
    assert ran.statuses() == {"waits": "cancelled", "bad": "failed"}
    assert said == ["+a r1 dev", "cleaned up", "-a"]


async def test_a_set_up_that_still_runs_when_the_run_stops_is_cancelled(run_plan):
    said = []

    class Slow(Client):
        async def setup(self, ctx):
            try:
                await anyio.sleep(60)
            finally:
                said.append("cancelled")

    @task
    async def fails(ctx):
        await anyio.sleep(0.01)
        raise ValueError

    ran = await run_plan({uses_a: (), fails: ()}, providers={"a": Slow("a", said)}, fail_fast=True, grace=0.1)
    assert ran.statuses() == {"uses_a": "cancelled", "fails": "failed"}
    assert said == ["cancelled"]


async def test_an_error_while_closing_is_a_warning_and_the_others_are_closed(run_plan):
    said = []

    class Clings(Client):
        async def teardown(self):
            raise OSError("still in use")

    ran = await run_plan({uses_a: (), uses_b: (uses_a,)}, providers={"a": Client("a", said), "b": Clings("b", said)})
    assert ran.result.exit_code == 0
    assert said == ["+a r1 dev", "+b r1 dev", "-a"]
    (warning,) = [event for event in ran.events if isinstance(event, RunWarning)]
    assert warning.message.startswith("the provider b could not be closed: OSError: still in use")


async def test_closing_that_takes_too_long_after_a_stop_is_cancelled(run_plan, monkeypatch):
    monkeypatch.setattr("sqlbuild.runner.providing.CLOSE_SECONDS", 0.01)

    class Clings(Client):
        async def teardown(self):
            await anyio.sleep(60)

    ran = await run_plan({bad: ()}, providers={"a": Clings("a", [])}, fail_fast=True, grace=0.01)
    assert ran.result.stopped_by == "fail-fast"
    assert "the provider a did not close in time" in [e.message for e in ran.events if isinstance(e, RunWarning)]


async def test_a_provider_whose_task_group_fails_stops_working_for_later_nodes(run_plan):
    class Fails(ContextClient):
        async def __aenter__(self):
            await super().__aenter__()

            async def lose_connection():
                raise ConnectionError("lost")

            self.group.start_soon(lose_connection)

        async def __aexit__(self, *error):
            await self.group.__aexit__(*error)

    @task
    async def early(ctx, a):
        await anyio.sleep(0.02)

    @task(depends_on=early)
    async def late(ctx, a): ...

    ran = await run_plan({early: (), late: (early,)}, providers={"a": Fails([])})
    assert ran.statuses() == {"early": "succeeded", "late": "failed"}
    assert "the provider a stopped working" in ran.result.results[NodeId("task:late")].error.message


async def test_a_wrapped_function_gets_its_providers_by_position(run_plan):
    import functools

    def through(function):
        @functools.wraps(function)
        async def wrapper(*args):
            return await function(*args)

        return wrapper

    @task
    @through
    async def wrapped(ctx, a, limit=3):
        return [a.name, limit]

    ran = await run_plan({wrapped: ()}, providers={"a": Client("a", [])})
    assert ran.result.results[NodeId("task:wrapped")].payload == '["a",3]'


async def test_the_time_limit_of_a_node_does_not_bound_the_set_up(run_plan):
    class Slow(Client):
        async def setup(self, ctx):
            await anyio.sleep(0.1)

    @task(timeout=0.05)
    async def quick(ctx, a): ...

    assert (await run_plan({quick: ()}, providers={"a": Slow("a", [])})).statuses() == {"quick": "succeeded"}
