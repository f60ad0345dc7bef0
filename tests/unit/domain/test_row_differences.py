"""Which rows belong together, and how values are told."""

from __future__ import annotations

import datetime
import decimal
import math

from sqlbuild.domain.row_differences import Difference, aligned, plain_value, same, value_text


def test_rows_that_share_what_tells_them_apart_are_pairs():
    missing = [((1, "a", "x"), 1), ((2, "b", "x"), 1), ((3, "c", "x"), 1)]
    unexpected = [((3, "z", "y"), 1), ((1, "a", "y"), 1), ((9, "q", "q"), 1)]
    assert aligned(missing, unexpected) == (
        Difference((1, "a", "x"), (1, "a", "y")),
        Difference((3, "c", "x"), (3, "z", "y")),
        Difference((2, "b", "x"), None),
        Difference(None, (9, "q", "q")),
    )


def test_one_row_on_each_side_is_a_pair_whatever_it_holds():
    assert aligned([((1, "a"), 1)], [((2, "b"), 1)]) == (Difference((1, "a"), (2, "b")),)


def test_what_is_more_often_on_one_side_is_left_over():
    assert aligned([((1, "a"), 3)], [((1, "b"), 1)]) == (
        Difference((1, "a"), (1, "b")),
        Difference((1, "a"), None, 2),
    )


def test_rows_without_columns_and_no_rows_differ_in_nothing_but_number():
    assert aligned([], []) == ()
    assert aligned([((), 2)], []) == (Difference((), None, 2),)


def test_null_and_nan_are_the_same_as_themselves_only():
    assert same(None, None)
    assert not same(None, 0)
    assert same(math.nan, math.nan)
    assert not same(math.nan, 1.0)
    assert Difference((None, 1), (None, 2)).differing() == (1,)


def test_values_are_told_apart_by_how_they_are_written():
    values = [None, "NULL", 1, "1", True, "it's", "a\nb", decimal.Decimal("1.50"), b"\x01", datetime.date(2026, 1, 2)]
    assert [value_text(value) for value in values] == [
        "NULL", "'NULL'", "1", "'1'", "true", "'it's'", "'a\\nb'", "1.50", "0x01", "2026-01-02",
    ]  # fmt: skip


def test_values_for_json_keep_what_json_has_and_are_text_else():
    assert [plain_value(value) for value in (None, True, 3, 1.5, "x")] == [None, True, 3, 1.5, "x"]
    assert plain_value(decimal.Decimal("0.20")) == "0.20"
    assert plain_value(2**60) == str(2**60)
    assert plain_value(math.inf) == "inf"
    assert plain_value(datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)) == "2026-01-02 03:04:00+00:00"
    assert plain_value([1, 2]) == "[1, 2]"
    assert len(str(plain_value("x" * 10_000))) < 600
