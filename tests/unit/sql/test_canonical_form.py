from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.sql.canonical_form import canonical_form

PIECES = [
    "select",
    "A",
    '"A b"',
    "'x  y'",
    "'it''s'",
    "1.5e-3",
    "a_1",
    "<=",
    "::",
    ",",
    "(",
    ")",
    "e'\\''",
    "FROM",
    "x$1",
]
GAPS = [" ", "\n", "\t ", " -- note\n", "  "]


def test_blanks_comments_and_the_case_of_keywords_are_left_out() -> None:
    assert canonical_form("SELECT  a,\n'B  c' -- x\nFROM T;") == "select a , 'B  c' from T"
    assert canonical_form("SELECT /* x /* y */ */ a, 'B  c'\tFROM T") == "select a , 'B  c' from T"


@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(GAPS)), min_size=1))
def test_both_ways_to_read_tokens_agree(parts: list[tuple[str, str]]) -> None:
    sql = "".join(piece + gap for piece, gap in parts)
    assert canonical_form(sql.replace("x$1", "x1")) == canonical_form(sql + " /* */").replace("x$1", "x1")


@given(st.lists(st.sampled_from(PIECES), min_size=1), st.data())
def test_only_what_stands_between_tokens_may_change(pieces: list[str], data: st.DataObject) -> None:
    one, other = ("".join(piece + data.draw(st.sampled_from(GAPS)) for piece in pieces) for _ in range(2))
    assert canonical_form(one) == canonical_form(other)


@pytest.mark.parametrize(
    ("one", "other"), [("'a'", "'A'"), ('"a"', '"A"'), ("a", "A"), ("'a b'", "'a  b'"), ("a b", "ab")]
)
def test_what_has_another_meaning_has_another_form(one: str, other: str) -> None:
    assert canonical_form(f"SELECT {one}") != canonical_form(f"SELECT {other}")


@pytest.mark.parametrize("sql", ["SELECT 'a", 'SELECT "a', "SELECT /* a", "SELECT $$a"])
def test_text_that_is_never_closed_is_its_own_form(sql: str) -> None:
    assert canonical_form(sql) == sql
