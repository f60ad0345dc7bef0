from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from sqlglot import exp

from sqlbuild.sql.analyse_query import analyse_query


@pytest.fixture
def collector_off() -> Iterator[None]:
    """As it is while a project is compiled."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def trees() -> int:
    return sum(isinstance(each, exp.Select) for each in gc.get_objects())


@pytest.mark.usefixtures("collector_off")
def test_the_syntax_tree_of_a_query_is_freed_when_the_query_is_analysed() -> None:
    analyse_query("SELECT 1 AS a", (), (), "duckdb")
    of_the_parser = trees()

    for number in range(3):
        analyse_query(f"SELECT {number} + 1 AS a, upper('x') AS b", (), (), "duckdb")

    assert trees() == of_the_parser
