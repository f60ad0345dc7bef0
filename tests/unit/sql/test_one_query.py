from __future__ import annotations

import pytest

from sqlbuild.errors import WarehouseError
from sqlbuild.sql.one_query import first_word, one_query
from sqlbuild.sql.placeholders import with_literals


@pytest.mark.parametrize(
    ("sql", "expected"),
    [("SELECT 1", "SELECT 1"), ("SELECT ';' ; -- x\n ;", "SELECT ';' "), ("SELECT 'open", "SELECT 'open")],
)
def test_semicolons_at_the_end_are_taken_off(sql, expected):
    assert one_query(sql) == expected


@pytest.mark.parametrize(
    ("sql", "message"), [("-- nothing", "no SQL for a test"), ("SELECT 1; SELECT 2", "a test takes")]
)
def test_what_is_not_one_query_is_refused_in_the_name_of_who_asks(sql, message):
    with pytest.raises(WarehouseError, match=message):
        one_query(sql, asker="a test")


@pytest.mark.parametrize(
    ("sql", "word"),
    [("/* a */ ((WITH x", "with"), ("-- a\nTable t", "table"), ("'x'", ""), ("", ""), ("/* never", ""), ("1", "")],
)
def test_the_first_word_stands_behind_brackets_and_comments(sql, word):
    assert first_word(sql) == word


def test_literals_stand_for_numbers_outside_of_strings_and_comments():
    sql = "SELECT $1, '$1', \"$1\", $$ $1 $$, $10, $2::int, a$1 -- $1"
    assert with_literals(sql, ["'x'", "(2)"]) == "SELECT 'x', '$1', \"$1\", $$ $1 $$, $10, (2)::int, a$1 -- $1"
