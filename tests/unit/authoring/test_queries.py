from __future__ import annotations

import gc
import sys

import pyarrow
import pytest

from sqlbuild.authoring.loader_contexts import context_for
from sqlbuild.authoring.queries import PAGE_ROWS
from sqlbuild.domain.ids import NodeKind
from sqlbuild.errors import MissingExtra, NodeError

ROWS = [(1, "a"), (2, "b"), (3, "c")]


@pytest.fixture
def query(session):
    return context_for(NodeKind.ASSET, False, session).query("SELECT ...", [1])


@pytest.fixture
def waiting(session):
    return context_for(NodeKind.ASSET, True, session).query("SELECT ...", [1])


def test_rows_are_read_in_every_way(query, session):
    assert query.fetchone() == (1, "a")
    assert query.fetchmany(1) == [(2, "b")]
    assert query.fetchall() == [(3, "c")]
    assert (query.fetchone(), query.fetchmany(2), query.fetchall(), query.scalar()) == (None, [], [], None)
    assert session.statements == [("SELECT ...", [1])]


async def test_rows_are_awaited_in_every_way(waiting, session):
    assert await waiting.fetchone() == (1, "a")
    assert await waiting.fetchmany(n=1) == [(2, "b")]
    assert await waiting.fetchall() == [(3, "c")]
    assert await waiting.fetchone() is None
    assert session.statements == [("SELECT ...", [1])]


def test_a_query_can_be_iterated(query):
    assert list(query) == ROWS
    assert list(query) == []


async def test_a_query_can_be_iterated_asynchronously(waiting):
    assert [row async for row in waiting] == ROWS
    assert [row async for row in waiting] == []


def test_a_scalar_is_the_first_value_and_ends_the_result(query, session):
    session.rows = [(index,) for index in range(3 * PAGE_ROWS)]
    assert query.scalar() == 0
    assert session.results[0].closed
    assert query.fetchall() == []


async def test_a_scalar_without_rows_is_none(waiting, session):
    session.rows = []
    assert await waiting.scalar() is None


def test_a_short_result_is_over_after_its_first_row(session):
    """`ctx.query(...).fetchone()[0]` must not keep a connection slot."""
    ctx = context_for(NodeKind.ASSET, False, session)
    assert ctx.query("SELECT count(*)").fetchone()[0] == 1
    assert session.results[0].closed
    assert session.left_undone == []


def test_a_long_result_is_read_in_pages(query, session):
    session.rows = [(index,) for index in range(2 * PAGE_ROWS + 1)]
    assert sum(1 for _ in query) == 2 * PAGE_ROWS + 1
    assert session.results[0].limits == [PAGE_ROWS] * 3
    assert session.results[0].closed


def test_many_rows_at_once_are_one_read(query, session):
    session.rows = [(index,) for index in range(5 * PAGE_ROWS)]
    assert query.fetchone() == (0,)
    assert len(query.fetchmany(4 * PAGE_ROWS)) == 4 * PAGE_ROWS
    assert session.results[0].limits == [PAGE_ROWS, 3 * PAGE_ROWS + 1]


def test_a_dropped_query_abandons_what_is_open(session):
    session.rows = [(index,) for index in range(2 * PAGE_ROWS)]
    context_for(NodeKind.ASSET, False, session).query("SELECT").fetchone()
    gc.collect()
    assert session.results[0].abandoned


async def test_a_loop_that_was_left_abandons_its_result(session):
    session.rows = [(index,) for index in range(2 * PAGE_ROWS)]
    async for row in context_for(NodeKind.ASSET, True, session).query("SELECT"):
        assert row == (0,)
        break
    gc.collect()
    assert session.results[0].abandoned


def test_a_query_that_is_never_read_is_remembered(query, session):
    (message,) = session.left_undone
    assert "was never read" in message
    assert "test_queries.py:" in message
    assert "ctx.execute_sql(...)" in message
    query.fetchall()
    assert session.left_undone == []


async def test_an_async_query_that_is_never_read_is_remembered(waiting, session):
    batches = waiting.batches()
    assert len(session.left_undone) == 1
    async for _ in batches:
        pass
    assert session.left_undone == []


def test_columnar_data_comes_in_three_shapes(session):
    ctx = context_for(NodeKind.TASK, False, session)
    assert ctx.query("SELECT").arrow().to_pydict() == {"number": [1, 2, 3], "letter": ["a", "b", "c"]}
    assert ctx.query("SELECT").df()["letter"].tolist() == ["a", "b", "c"]
    assert ctx.query("SELECT").pl()["number"].to_list() == [1, 2, 3]


async def test_columnar_data_is_awaited_and_made_away_from_the_loop(session):
    ctx = context_for(NodeKind.TASK, True, session)
    assert (await ctx.query("SELECT").arrow()).num_rows == 3
    assert (await ctx.query("SELECT").df())["letter"].tolist() == ["a", "b", "c"]
    assert (await ctx.query("SELECT").pl())["number"].to_list() == [1, 2, 3]
    assert session.in_threads.count("as_table") == 3


def test_an_empty_result_is_a_table_with_columns(session):
    session.rows = []
    table = context_for(NodeKind.TASK, False, session).query("SELECT").arrow()
    assert (table.num_rows, table.column_names) == (0, ["number", "letter"])


def test_batches_hold_at_most_the_rows_asked_for(query, session):
    assert [batch.num_rows for batch in query.batches(rows=2)] == [2, 1]
    assert session.results[0].closed
    assert isinstance(next(query.batches(2), None), type(None))


async def test_batches_can_be_iterated_asynchronously(waiting):
    batches = [batch async for batch in waiting.batches(2)]
    assert [type(batch) for batch in batches] == [pyarrow.RecordBatch] * 2


def test_rows_and_batches_of_one_query_are_not_mixed(query):
    query.fetchone()
    with pytest.raises(NodeError, match="was read as rows and cannot be read as batches too"):
        query.arrow()


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), ("3", TypeError)])
def test_wrong_counts_are_refused(query, waiting, count, error):
    for each in (query, waiting):
        with pytest.raises(error, match="n must be"):
            each.fetchmany(count)
        with pytest.raises(error, match="rows must be"):
            each.batches(count)


@pytest.mark.parametrize(
    ("package", "method", "advice"),
    [
        ("pyarrow", "arrow", "pip install 'sqlbuild[arrow]'"),
        ("pyarrow", "batches", "pip install 'sqlbuild[arrow]'"),
        ("pandas", "df", "pip install 'sqlbuild[arrow]' pandas"),
        ("polars", "pl", "pip install 'sqlbuild[arrow]' polars"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(query, session, monkeypatch, package, method, advice):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra) as raised:
        getattr(query, method)()
    assert raised.value.help == advice
    assert session.statements == []


async def test_a_missing_package_is_named_on_the_async_side(waiting, session, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra):
        await waiting.df()
    with pytest.raises(MissingExtra):
        async for _ in context_for(NodeKind.TASK, True, session).query("SELECT").batches():
            pass
    assert session.statements == []


async def test_an_async_query_used_like_a_plain_one_says_what_to_write(waiting):
    with pytest.raises(TypeError, match=r"await ctx.query\(...\).fetchall\(\)"):
        await waiting
    with pytest.raises(TypeError, match=r"async for row in ctx.query\(...\)"):
        list(waiting)
    with pytest.raises(TypeError, match="fetchall"):
        waiting[0]
    with pytest.raises(TypeError, match="async for batch"):
        list(waiting.batches())
    await waiting.fetchall()
