from __future__ import annotations

import asyncio
import collections.abc

import anyio
import pytest
import sniffio

from sqlbuild.authoring.loader_contexts import context_for
from sqlbuild.domain.ids import NodeKind
from sqlbuild.errors import MissingAwait


@pytest.fixture
def ctx(session):
    return context_for(NodeKind.ASSET, True, session)


USES = {
    "subscripted": lambda pending: pending[0],
    "iterated": lambda pending: list(pending),
    "tested": lambda pending: bool(pending),
    "negated": lambda pending: not pending,
    "compared": lambda pending: pending == 3,
    "measured": lambda pending: len(pending),
    "searched": lambda pending: 3 in pending,
    "read": lambda pending: pending.payload,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_a_forgotten_await_is_told_where_the_value_is_used(ctx, use):
    pending = ctx.query("SELECT 1").fetchone()
    with pytest.raises(MissingAwait) as raised:
        use(pending)
    assert "ctx.query(...).fetchone()" in str(raised.value)
    assert "test_pending.py:" in str(raised.value)
    assert raised.value.help.startswith("write `await ctx.query(...).fetchone()`")
    await pending


async def test_async_iteration_over_a_forgotten_await_is_told(ctx):
    with pytest.raises(MissingAwait):
        async for _ in ctx.query("SELECT 1").fetchall():
            pass


async def test_a_call_that_was_never_awaited_is_remembered_with_its_place(ctx, session):
    ctx.execute_sql("DELETE FROM t")
    (message,) = session.left_undone
    assert message.startswith("ctx.execute_sql(...) at ")
    assert message.endswith("was never awaited: write `await ctx.execute_sql(...)`")
    assert "test_pending.py:" in message
    assert session.statements == []


async def test_it_can_be_started_in_a_task_group(ctx, session):
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(ctx.execute_sql, f"DELETE {number}")
    assert sorted(session.statements) == [(f"DELETE {number}", None) for number in range(3)]
    assert session.left_undone == []


async def test_it_can_be_gathered(ctx, session):
    if sniffio.current_async_library() != "asyncio":
        return
    rows, task_rows = await asyncio.gather(
        ctx.query("SELECT 1").fetchall(), asyncio.create_task(ctx.query("SELECT 2").fetchall())
    )
    assert rows == task_rows == session.rows
    assert session.left_undone == []


async def test_it_is_a_coroutine_that_can_be_closed(ctx, session):
    pending = ctx.execute_sql("DELETE FROM t")
    assert isinstance(pending, collections.abc.Coroutine)
    assert repr(pending) == "<ctx.execute_sql(...), not awaited>"
    pending.close()
    assert repr(pending) == "<ctx.execute_sql(...)>"
    assert session.left_undone == []


async def test_it_cannot_be_awaited_twice(ctx, session):
    pending = ctx.execute_sql("DELETE FROM t")
    await pending
    with pytest.raises(RuntimeError, match="reuse"):
        await pending
    assert len(session.statements) == 1


async def test_it_is_told_apart_by_identity(ctx):
    one, two = ctx.execute_sql("a"), ctx.execute_sql("a")
    assert one == one
    assert len({one, two}) == 2
    assert not hasattr(one, "_unknown")
    await one
    await two
