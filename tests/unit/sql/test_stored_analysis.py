from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sqlbuild.sql.query_analysis import InputReference, QueryAnalysis, QueryInput, mask_references, masked_input
from sqlbuild.sql.stored_analysis import (
    UnreadableAnalysis,
    analysis_from_json,
    analysis_key,
    analysis_to_json,
    input_digest,
    parser_version,
)


@pytest.mark.parametrize(
    "sql",
    ["SELECT id, nope FROM raw.orders", "SELECT * FROM other.t", "SELECT 'é' AS \"ü\"", "SELECT (", "PIVOT stg.a ON x"],
)
def test_a_stored_analysis_is_the_analysis(sql: str, analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse(sql)
    assert analysis_from_json(analysis_to_json(found)) == found


@pytest.mark.parametrize(
    "text", ["", "null", "{}", "[]", "[1, 2]", '["x", [[1]], [], [], []]', '["x", null, [], [[]], []]']
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UnreadableAnalysis):
        analysis_from_json(text)


def test_the_version_of_the_parser_is_known_without_it() -> None:
    import sqlglot

    assert parser_version() == sqlglot.__version__


def key(sql: str = "SELECT 1", **changed: Any) -> str:
    given = QueryInput(**{"label": "a", "alias": "a", "columns": (("x", "INTEGER"),), "complete": True, **changed})
    return analysis_key(sql, (), [input_digest(given)], dialect="duckdb", parser="1")


@pytest.mark.parametrize(
    "changed",
    [{"label": "b"}, {"alias": "b"}, {"complete": False}, {"columns": (("x", None),)}, {"columns": ()},
     {"columns": (("X", "INTEGER"),)}, {"sql": "SELECT 2"}],
)  # fmt: skip
def test_a_key_changes_with_everything_that_an_analysis_looks_at(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()
    assert key() == key()


def test_a_key_changes_with_parser_dialect_and_references() -> None:
    one = analysis_key("S", (), (), dialect="duckdb", parser="1")
    assert one != analysis_key("S", (), (), dialect="duckdb", parser="2")
    assert one != analysis_key("S", (), (), dialect="postgres", parser="1")
    assert one != analysis_key("S", [InputReference(0, 1, 0)], (), dialect="duckdb", parser="1")


def test_masked_references_keep_every_offset() -> None:
    sql = 'SELECT * FROM __ref("a") JOIN __source("orders")\nUSING (x)'
    masked = mask_references(sql, [InputReference(30, 48, 12), InputReference(14, 24, 0)])
    assert masked == 'SELECT * FROM "@0000000" JOIN "@000000000000012"\nUSING (x)'
    assert (masked_input("@000000000000012"), masked_input("@x"), masked_input("a")) == (12, None, None)
