from __future__ import annotations

import datetime
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.interfaces.loading import ValueKind
from sqlbuild.runner import seed_values
from sqlbuild.runner.seed_values import TextColumn, reader_for

ONE_TYPE = [("BIGINT", "duckdb"), ("int8", "postgres")]


def value(type_: str, text: str, dialect: str = "duckdb") -> object:
    values, wrong = TextColumn(reader_for(type_, dialect)).values([text])
    assert wrong is None, wrong
    return values[0]


def reason(type_: str, text: str) -> str:
    _, wrong = TextColumn(reader_for(type_, "duckdb"), nulls=["-"]).values(["-", text, text])
    assert wrong is not None
    assert wrong[0] == 1
    return wrong[1]


@pytest.mark.parametrize(("type_", "dialect"), ONE_TYPE)
@given(number=st.integers(-(2**63), 2**63 - 1))
def test_every_whole_number_within_its_type_is_read(type_, dialect, number):
    assert value(type_, f" {number} ", dialect) == number


def test_whole_numbers_have_the_range_of_their_type():
    assert value("UTINYINT", "255") == 255
    assert reason("UTINYINT", "256") == "it is not within 0 and 255"
    assert reason("UTINYINT", "-1") == "it is not within 0 and 255"
    assert reason("TINYINT", "128") == "it is not within -128 and 127"
    assert value("HUGEINT", "+170141183460469231731687303715884105727") == "170141183460469231731687303715884105727"
    assert reason("HUGEINT", "1.5") == ""


@given(number=st.decimals(-9999, 9999, allow_nan=False))
def test_decimals_are_rounded_to_their_scale_half_away_from_zero(number):
    expected = number.quantize(decimal.Decimal("0.01"), rounding=decimal.ROUND_HALF_UP)
    assert value("DECIMAL(8, 2)", str(number)) == expected


def test_decimals_have_room_for_some_digits():
    assert value("DECIMAL(3, 3)", "0.9994") == decimal.Decimal("0.999")
    assert reason("DECIMAL(3, 3)", "0.9996") == "it has more than 0 digits before the point"
    assert reason("DECIMAL(3, 1)", "1e9999") == "it has more than 2 digits before the point"
    assert reason("DECIMAL(3, 1)", "nan") == ""
    assert value("numeric", "1e3", "postgres") == decimal.Decimal(1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("TRUE", True), ("t", True), ("Yes", True), ("1", True), ("on", True), ("f", False), ("OFF", False), ("0", False)],
)
def test_truth_has_many_words(text, expected):
    assert value("BOOLEAN", text) is expected


def test_times_are_read_by_one_rule():
    assert value("DATE", "2024/1/5") == datetime.date(2024, 1, 5)
    assert value("TIME", "8:05:01.5") == datetime.time(8, 5, 1, 500_000)
    assert value("TIMESTAMP", "2024-01-05") == datetime.datetime.fromisoformat("2024-01-05")
    at = datetime.datetime(2024, 1, 5, 8, tzinfo=datetime.UTC)
    for text in ("2024-01-05 08:00", "2024-01-05T08:00Z", "2024-01-05 10:00+0200", "2024-01-05 06:30 -01:30"):
        assert value("TIMESTAMPTZ", text) == at, text
    assert reason("TIMESTAMP", "2024-01-05T08:00Z").startswith("it has an offset")
    assert reason("TIMESTAMPTZ", "2024-01-05 08:00+99:00")
    assert reason("DATE", "0000-01-01")
    assert reason("TIMESTAMP", "2024-01-05 08:00:00.1234567").endswith("at most 6 digits after the seconds")


@given(text=st.text(max_size=12))
def test_text_stays_as_it_is_and_nothing_else_ends_a_run(text):
    assert value("VARCHAR", text) == text
    for type_ in ("INTEGER", "DOUBLE", "DECIMAL(4, 1)", "BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ"):
        TextColumn(reader_for(type_, "duckdb")).values([text])


def test_text_of_other_types_is_left_to_the_warehouse():
    assert reader_for("INTEGER[]", "duckdb").kind is ValueKind.TEXT
    assert value("dev.mood", "happy", "postgres") == "happy"


def test_what_stands_for_null_is_never_read_and_what_was_read_is_known(monkeypatch):
    monkeypatch.setattr(seed_values, "MOST_KNOWN", 3)
    column = TextColumn(reader_for("INTEGER", "duckdb"), nulls=["", "x"])
    for first in range(0, 20, 4):
        texts = ["", "x", *map(str, range(first, first + 4)), str(first)]
        assert column.values(texts) == ([None, None, *range(first, first + 4), first], None)
    assert column.values(["1", "y", "z"]) == ([], (1, ""))
    assert TextColumn(reader_for("TEXT", "duckdb"), nulls=["x"]).values(["x", "y"]) == ([None, "y"], None)
