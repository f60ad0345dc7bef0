from __future__ import annotations

import json
import types

import anyio
import pytest

from sqlbuild.checks import check
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.results import FAILURES
from sqlbuild.refs import model
from sqlbuild.tasks import task


@task
async def up(ctx): ...


def a_check(function, severity="error", name="ok"):
    return check(name=name, depends_on=up, severity=severity)(function)


async def result_of(run_plan, function, severity="error"):
    ran = await run_plan({up: (), a_check(function, severity): (up,)})
    return ran.result.results[NodeId("check:ok")], ran.result.exit_code


@pytest.mark.parametrize(
    ("returns", "severity", "status", "exit_code"),
    [
        (lambda ctx: True, "error", "succeeded", 0),
        (lambda ctx: ctx.pass_(), "error", "succeeded", 0),
        (lambda ctx: False, "error", "failed", 1),
        (lambda ctx: ctx.fail("no"), "error", "failed", 1),
        (lambda ctx: ctx.warn("hm"), "error", "warned", 0),
        (lambda ctx: True, "warn", "succeeded", 0),
        (lambda ctx: False, "warn", "warned", 0),
        (lambda ctx: ctx.fail("no"), "warn", "warned", 0),
        (lambda ctx: ctx.warn("hm"), "warn", "warned", 0),
        (lambda ctx: ctx.skip("not today"), "error", "skipped", 0),
        (lambda ctx: None, "error", "failed", 1),
        (lambda ctx: None, "warn", "warned", 0),
        (lambda ctx: 1 / 0, "error", "failed", 1),
        (lambda ctx: 1 / 0, "warn", "warned", 0),
        (lambda ctx: 1, "error", "failed", 1),
        (lambda ctx: {"rows": 3}, "error", "failed", 1),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_what_a_check_returns_and_its_severity_say_how_it_ends(
    run_plan, returns, severity, status, exit_code, is_async
):
    def waits_not(ctx):
        return returns(ctx)

    async def waits(ctx):
        await anyio.sleep(0)
        return returns(ctx)

    result, code = await result_of(run_plan, waits if is_async else waits_not, severity)
    assert (result.status, code) == (status, exit_code)


async def test_message_and_metadata_are_stored(run_plan):
    def looks(ctx):
        return ctx.pass_("3 orders", metadata={"rows": 3})

    result, _ = await result_of(run_plan, looks)
    assert json.loads(result.payload) == {"verdict": "pass", "message": "3 orders"}
    assert json.loads(result.metadata) == {"rows": 3}


async def test_a_failed_check_says_where_it_stands_and_what_it_said(run_plan):
    def looks(ctx):
        return ctx.fail("3 orders without a customer")

    result, _ = await result_of(run_plan, looks)
    assert (result.error.type, result.error.message) == ("CheckFailed", "3 orders without a customer")
    assert result.error.path.endswith("test_check.py")
    assert result.error.line == looks.__code__.co_firstlineno
    assert json.loads(result.payload)["verdict"] == "fail"


async def test_an_exception_in_a_check_that_only_warns_keeps_its_traceback(run_plan):
    def looks(ctx):
        raise LookupError("no such table")

    result, _ = await result_of(run_plan, looks, "warn")
    assert (result.status, result.error.type) == ("warned", "LookupError")
    assert "in looks" in result.error.traceback
    assert result.payload is None


@pytest.mark.parametrize("call", ["fail", "warn"])
async def test_a_verdict_that_is_made_but_not_returned_is_an_error(run_plan, call):
    def looks(ctx):
        getattr(ctx, call)("orders are missing")
        return True

    result, _ = await result_of(run_plan, looks)
    assert result.error.type == "NotReturned"
    assert f"write `return ctx.{call}(...)`" in result.error.message


async def test_a_passing_verdict_may_be_replaced(run_plan):
    def looks(ctx):
        verdict = ctx.pass_("so far")
        return ctx.fail("in the end") if verdict else verdict

    result, _ = await result_of(run_plan, looks)
    assert json.loads(result.payload)["message"] == "in the end"


async def test_a_check_without_a_verdict_is_told_what_to_return(run_plan):
    def looks(ctx): ...

    result, _ = await result_of(run_plan, looks)
    assert result.error.message == "the check ok returned None, which says nothing"
    assert "ctx.pass_(...)" in result.error.help


async def test_the_truth_of_a_numpy_scalar_counts(run_plan):
    numpy_bool = type("bool_", (), {"__module__": "numpy", "__bool__": lambda self: False})
    result, _ = await result_of(run_plan, lambda_as_function(lambda ctx: numpy_bool()))
    assert result.status == "failed"
    assert result.error.message == "it returned False"


def lambda_as_function(function):
    return types.FunctionType(
        function.__code__.replace(co_name="looks"), globals(), "looks", None, function.__closure__
    )


async def test_a_check_that_cannot_be_stored_fails_alone(run_plan):
    def looks(ctx):
        return ctx.pass_("ok", metadata={"when": {1, 2}})

    result, _ = await result_of(run_plan, looks)
    assert result.error.type == "UnstorableResult"


async def test_nothing_waits_for_a_check_and_a_check_waits_for_all_it_looks_at(run_plan):
    order = []

    @task
    async def slow(ctx):
        await anyio.sleep(0.02)
        order.append("slow")

    @task
    async def after(ctx):
        order.append("after")

    async def of_up(ctx):
        order.append("of_up")
        return True

    async def of_both(ctx):
        order.append("of_both")
        return False

    first, second = a_check(of_up, name="of_up"), a_check(of_both, name="of_both")
    ran = await run_plan({up: (), slow: (), first: (up,), second: (up, slow), after: (up,)})
    assert order.index("of_up") < order.index("slow") < order.index("of_both")
    assert ran.statuses()["after"] == "succeeded"


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("passes", "passes", "succeeded"),
        ("passes", "skips", "skipped"),
        ("skips", "skips", "skipped"),
        ("passes", "skips_hard", "blocked"),
        ("skips", "fails", "blocked"),
    ],
)
async def test_a_check_runs_only_if_all_it_looks_at_has_succeeded(run_plan, first, second, status):
    @task
    async def passes(ctx): ...

    @task
    async def skips(ctx):
        return ctx.skip("nothing new")

    @task
    async def skips_hard(ctx):
        return ctx.skip("nothing at all", mode="hard")

    @task
    async def fails(ctx):
        raise ValueError

    functions = {task.__name__: task for task in (passes, skips, skips_hard, fails)}
    other = task(name="other")(types.FunctionType(functions[second].__code__, globals(), "other"))
    looks = a_check(lambda_as_function(lambda ctx: True))
    ran = await run_plan({functions[first]: (), other: (), looks: (functions[first], other)})
    assert ran.statuses()["ok"] == status


async def test_fail_fast_stops_at_a_failed_check_but_not_at_a_warned_one(run_plan):
    @task
    async def waits(ctx):
        await anyio.sleep(0.05)

    async def looks(ctx):
        return False

    ran = await run_plan({up: (), waits: (), a_check(looks): (up,)}, fail_fast=True)
    assert ran.statuses() == {"up": "succeeded", "waits": "cancelled", "ok": "failed"}

    async def looks_again(ctx):
        return False

    ran = await run_plan({up: (), waits: (), a_check(looks_again, "warn"): (up,)}, fail_fast=True)
    assert ran.statuses() == {"up": "succeeded", "waits": "succeeded", "ok": "warned"}


async def test_a_check_of_severity_warn_that_takes_too_long_is_warned(run_plan):
    @check(depends_on=up, severity="warn", timeout=0.01)
    async def slow(ctx):
        await anyio.sleep(60)

    ran = await run_plan({up: (), slow: (up,)})
    result = ran.result.results[NodeId("check:slow")]
    assert (result.status, result.error.type) == ("warned", "NodeTimeout")
    assert result.status not in FAILURES


async def test_queries_work_in_both_kinds_of_checks(run_plan):
    @check(depends_on=model("orders"))
    def plain(ctx):
        return ctx.query("SELECT 42").scalar() == 42

    @check(depends_on=model("orders"))
    async def waiting(ctx):
        await ctx.execute_sql("CREATE TEMP TABLE t AS SELECT 1")
        return await ctx.query("SELECT 42").scalar() == 42

    assert (await run_plan({plain: (), waiting: ()})).statuses() == {"plain": "succeeded", "waiting": "succeeded"}


@pytest.mark.parametrize(
    ("call", "arguments"),
    [("fail", (3,)), ("fail", (None,)), ("warn", (None,)), ("pass_", (3,))],
)
async def test_a_message_is_a_text(run_plan, call, arguments):
    def looks(ctx):
        return getattr(ctx, call)(*arguments)

    result, _ = await result_of(run_plan, looks)
    assert result.error.type == "TypeError"
    assert result.error.message.startswith(f"ctx.{call}(): message must be a text")
