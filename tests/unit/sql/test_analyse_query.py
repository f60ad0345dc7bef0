from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from sqlbuild.sql.analyse_query import analyse_query


@pytest.fixture
def collector_off() -> Iterator[None]:
    """As it is while a project is compiled."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collector_off")
def test_nothing_is_left_of_the_syntax_tree_when_a_query_is_analysed() -> None:
    def objects_after(queries: int) -> int:
        for number in range(queries):
            sql = f"WITH w AS (SELECT {number} + 1 AS a) SELECT w.a, (SELECT max(a) FROM w), upper('x') FROM w JOIN w AS v ON w.a = v.a"
            analyse_query(sql, (), (), "duckdb")
        return len(gc.get_objects())

    objects_after(2)
    before = objects_after(1)

    # The parser itself leaves a few; the tree of one query are a hundred.
    assert objects_after(50) - before < 50 * 10
