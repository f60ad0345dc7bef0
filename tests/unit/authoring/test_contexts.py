from __future__ import annotations

import dataclasses
import datetime
import re

import pytest

from sqlbuild.authoring.contexts import (
    AssetContext,
    AsyncAssetContext,
    AsyncTaskContext,
    TaskContext,
)
from sqlbuild.authoring.loader_contexts import context_for
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import NodeValue, Skip, SkipMode, UpstreamResult
from sqlbuild.errors import MissingAwait, UndeclaredDependency, UpstreamHasNoResult
from sqlbuild.refs import model


def upstream(ctx): ...


KINDS = [
    (NodeKind.ASSET, False, AssetContext),
    (NodeKind.ASSET, True, AsyncAssetContext),
    (NodeKind.TASK, False, TaskContext),
    (NodeKind.TASK, True, AsyncTaskContext),
]


@pytest.fixture(params=KINDS, ids=lambda each: each[2].__name__)
def ctx(request, session):
    kind, is_async, _ = request.param
    return context_for(kind, is_async, session)


@pytest.mark.parametrize(("kind", "is_async", "expected"), KINDS)
def test_each_kind_gets_its_own_context(session, kind, is_async, expected):
    assert type(context_for(kind, is_async, session)) is expected


def test_a_model_has_no_context(session):
    with pytest.raises(KeyError):
        context_for(NodeKind.MODEL, False, session)


def test_the_facts_of_the_run_are_there(ctx, session):
    assert (ctx.run_id, ctx.node_name, ctx.attempt, ctx.target) == ("r1", "orders_export", 2, "dev")
    assert ctx.vars["month"] == "2013-01"
    assert ctx.is_reload
    assert ctx.connection is session


def test_the_idempotency_key_belongs_to_the_node_and_the_run_and_not_to_the_attempt(ctx, session):
    key = ctx.idempotency_key
    assert re.fullmatch("[0-9a-f]{32}", key)
    session.facts = dataclasses.replace(session.facts, attempt=3)
    assert ctx.idempotency_key == key
    for other in ({"run_id": "r2"}, {"node_id": "task:orders_export"}):
        session.facts = dataclasses.replace(session.facts, **other)
        assert ctx.idempotency_key != key


def test_a_missing_var_is_told_by_name_with_how_to_set_it(ctx):
    with pytest.raises(KeyError) as raised:
        ctx.vars["mnth"]
    assert str(raised.value).startswith('there is no var "mnth", did you mean "month"?; help: set it under [vars]')
    assert """--vars '{"mnth": "..."}'""" in str(raised.value)
    assert (ctx.vars.get("mnth"), ctx.vars.get("mnth", 1), "mnth" in ctx.vars) == (None, 1, False)
    assert dict(ctx.vars) == {"month": "2013-01"}


def test_what_a_node_does_to_its_vars_concerns_nobody_else(ctx):
    ctx.vars["month"] = "2014-01"
    assert ctx.vars["month"] == "2013-01"


def test_the_last_results_of_an_upstream_are_plain_in_a_def(session):
    ctx = context_for(NodeKind.TASK, False, session)
    session.upstreams[upstream] = UpstreamResult(payload=1, metadata=None, status="succeeded", ts=None, run_id="r0")
    assert [result.payload for result in ctx.results_of(upstream, 2)] == [1, 1]
    assert len(ctx.results_of(upstream, limit=3)) == 3


async def test_the_last_results_of_an_upstream_are_awaited_in_an_async_def(session):
    ctx = context_for(NodeKind.ASSET, True, session)
    assert await ctx.results_of(upstream, limit=2) == []
    with pytest.raises(MissingAwait, match=r"for ... in of ctx.results_of\(...\)"):
        for _ in ctx.results_of(upstream):
            pass


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-1, ValueError), ("3", TypeError), (True, TypeError)])
def test_a_limit_is_a_number_above_zero(ctx, limit, error):
    with pytest.raises(error, match="limit must be"):
        ctx.results_of(upstream, limit)


def test_a_result_is_made_by_position_and_by_keyword(session):
    expected = NodeValue(payload=[1], metadata={"rows": 1}, materialized=True)
    for is_async in (False, True):
        asset_ctx = context_for(NodeKind.ASSET, is_async, session)
        assert asset_ctx.result([1], {"rows": 1}, True) == expected
        assert asset_ctx.result(payload=[1], metadata={"rows": 1}, materialized=True) == expected
        task_ctx = context_for(NodeKind.TASK, is_async, session)
        assert task_ctx.result([1], metadata=2) == NodeValue(payload=[1], metadata=2)
        with pytest.raises(TypeError, match="materialized"):
            task_ctx.result(materialized=True)
        with pytest.raises(TypeError, match="materialized must be True, False or None, not str"):
            asset_ctx.result(materialized="yes")


def test_a_skip_is_remembered_until_it_is_returned(ctx, session):
    skip = ctx.skip("nothing new", mode="hard", metadata={"seen": 3})
    assert skip == Skip(reason="nothing new", mode=SkipMode.HARD, metadata={"seen": 3})
    (message,) = session.left_undone
    assert message.startswith("ctx.skip(...) at ")
    assert "test_contexts.py:" in message
    assert "return ctx.skip(...)" in message
    session.note(skip, None)
    assert session.left_undone == []


@pytest.mark.parametrize("mode", ["soft", SkipMode.SOFT])
def test_a_skip_is_soft_by_text_and_by_name(ctx, mode):
    assert ctx.skip("reason", mode).mode is SkipMode.SOFT
    assert ctx.skip("reason").mode is SkipMode.SOFT


def test_an_unknown_way_to_skip_is_refused(ctx, session):
    with pytest.raises(ValueError, match='mode must be "soft" or "hard", not \'medium\''):
        ctx.skip("reason", "medium")
    with pytest.raises(TypeError, match="reason must be a text, not int"):
        ctx.skip(3)
    assert session.left_undone == []


def test_a_missing_result_raises_unless_there_is_a_default(ctx, session):
    session.upstreams[upstream] = None
    with pytest.raises(UpstreamHasNoResult):
        ctx.result_of(upstream)
    assert ctx.result_of(upstream, default=None) is None
    assert ctx.result_of(upstream, 3) == 3


def test_a_default_does_not_hide_an_undeclared_dependency(ctx):
    with pytest.raises(UndeclaredDependency):
        ctx.result_of(upstream, default=None)


def test_a_result_is_handed_on(ctx, session):
    result = UpstreamResult(
        payload={"rows": 3}, metadata=None, status="succeeded", ts=datetime.datetime.now(datetime.UTC), run_id="r0"
    )
    session.upstreams[upstream] = result
    assert ctx.result_of(node_function=upstream) is result
    assert ctx.relation(ref=model("fact_orders")) == '"main"."fact_orders"'


def test_progress_and_log_reach_the_session(ctx, session):
    ctx.progress(3)
    ctx.progress(3, total=10, message="rows")
    ctx.log("hello")
    ctx.log("careful", "warning", rows=3)
    assert session.told == [
        (3, None, None),
        (3, 10, "rows"),
        ("hello", "info", {}),
        ("careful", "warning", {"rows": 3}),
    ]


def test_wrong_progress_and_levels_are_refused(ctx):
    with pytest.raises(TypeError, match="done must be a number, not str"):
        ctx.progress("3")
    with pytest.raises(TypeError, match="total must be a number, not str"):
        ctx.progress(3, "10")
    with pytest.raises(ValueError, match="level must be one of debug, info, warning, error, critical, not 'loud'"):
        ctx.log("x", level="loud")


@pytest.mark.parametrize("kind", [NodeKind.ASSET, NodeKind.TASK])
def test_a_plain_context_runs_a_statement(session, kind):
    ctx = context_for(kind, False, session)
    assert ctx.execute_sql("DELETE FROM t WHERE i = ?", [3]) is None
    assert session.statements == [("DELETE FROM t WHERE i = ?", [3])]


@pytest.mark.parametrize("kind", [NodeKind.ASSET, NodeKind.TASK])
async def test_an_async_context_runs_a_statement_when_it_is_awaited(session, kind):
    ctx = context_for(kind, True, session)
    pending = ctx.execute_sql(sql="DELETE FROM t", params=None)
    assert session.statements == []
    await pending
    assert session.statements == [("DELETE FROM t", None)]
    assert session.left_undone == []


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("sql", "params", "told"),
    [
        (3, None, "takes SQL text, not int"),
        ("SELECT ?", 3, "params must be a list, a tuple or a dict, not int"),
        ("SELECT ?", "abc", "params must be a list, a tuple or a dict, not str"),
    ],
)
def test_wrong_statements_are_refused(session, is_async, sql, params, told):
    ctx = context_for(NodeKind.TASK, is_async, session)
    with pytest.raises(TypeError, match=f"ctx.query.*{told}"):
        ctx.query(sql, params)
    with pytest.raises(TypeError, match=f"ctx.execute_sql.*{told}"):
        ctx.execute_sql(sql, params)
    assert session.left_undone == []


async def test_the_blocking_half_on_the_event_loop_is_refused(session):
    ctx = context_for(NodeKind.ASSET, False, session)
    with pytest.raises(MissingAwait):
        ctx.execute_sql("SELECT 1")
    with pytest.raises(MissingAwait):
        ctx.query("SELECT 1").fetchall()


def test_a_wrong_call_is_told_without_names_that_are_not_public():
    with pytest.raises(TypeError, match=r"^NodeContext\.skip\(\) missing 1 required positional argument: 'reason'"):
        AssetContext.skip(object())  # type: ignore[call-arg, arg-type]
