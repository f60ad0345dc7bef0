from __future__ import annotations

import datetime
import decimal
import enum
import uuid

import numpy
import pandas
import pytest

from sqlbuild.errors import NodeError
from sqlbuild.interfaces.loading import ValueKind
from sqlbuild.runner.value_columns import value_column

DAY = datetime.date(2024, 5, 1)
NOON = datetime.datetime.fromisoformat("2024-05-01T12:00")
MIDNIGHT = datetime.datetime.fromisoformat("2024-05-01")
UTC = datetime.UTC
D = decimal.Decimal


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([True, None], ValueKind.BOOLEAN, [True, None]),
        ([1, 2**70], ValueKind.INTEGER, [1, 2**70]),
        ([1, 0.5, None], ValueKind.FLOAT, [1.0, 0.5, None]),
        (["a"], ValueKind.TEXT, ["a"]),
        ([b"a", bytearray(b"b"), memoryview(b"c")], ValueKind.BYTES, [b"a", b"b", b"c"]),
        ([DAY], ValueKind.DATE, [DAY]),
        ([DAY, NOON], ValueKind.TIMESTAMP, [MIDNIGHT, NOON]),
        ([NOON.replace(tzinfo=UTC), None], ValueKind.TIMESTAMP_TZ, [NOON.replace(tzinfo=UTC), None]),
        ([datetime.time(1)], ValueKind.TIME, [datetime.time(1)]),
        ([datetime.timedelta(1)], ValueKind.INTERVAL, [datetime.timedelta(1)]),
        ([uuid.UUID(int=1)], ValueKind.UUID, [uuid.UUID(int=1)]),
        ([{"a": [1, "ü"]}, (1, 2), None], ValueKind.JSON, ['{"a":[1,"ü"]}', "[1,2]", None]),
        ([[DAY, D("1.50")]], ValueKind.JSON, ['["2024-05-01","1.50"]']),
        ([None, None], None, [None, None]),
        ([], None, []),
    ],
)
def test_values_have_the_kind_of_their_types(values, kind, kept):
    column = value_column("c", values, 1)
    assert (column.kind, column.values) == (kind, kept)


@pytest.mark.parametrize(
    ("values", "scale"), [([D("1.50")], 2), ([D("1E+3"), 7], 0), ([D("0.001"), D(5)], 3), ([D("-0"), None], 0)]
)
def test_decimals_have_the_scale_that_all_of_them_need(values, scale):
    column = value_column("c", values, 1)
    assert (column.kind, column.scale) == (ValueKind.DECIMAL, scale)


@pytest.mark.parametrize(
    ("value", "kind", "kept"),
    [
        (Colour.RED, ValueKind.TEXT, "red"),
        (Size.SMALL, ValueKind.INTEGER, 1),
        (Text("x"), ValueKind.TEXT, "x"),
        (numpy.int64(5), ValueKind.INTEGER, 5),
        (numpy.float32(0.5), ValueKind.FLOAT, 0.5),
        (numpy.bool_(True), ValueKind.BOOLEAN, True),
        (numpy.datetime64("2024-05-01T12:00"), ValueKind.TIMESTAMP, NOON),
        (pandas.Timestamp("2024-05-01T12:00"), ValueKind.TIMESTAMP, NOON),
        (pandas.Timestamp("2024-05-01T12:00", tz="UTC"), ValueKind.TIMESTAMP_TZ, NOON.replace(tzinfo=UTC)),
        (pandas.Timedelta(hours=1), ValueKind.INTERVAL, datetime.timedelta(hours=1)),
        (pandas.NaT, None, None),
        (pandas.NA, None, None),
    ],
)
def test_values_of_other_types_become_plain_ones(value, kind, kept):
    column = value_column("c", [value, None], 1)
    assert (column.kind, column.values) == (kind, [kept, None])
    assert type(column.values[0]) is type(kept)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, None, "x"], "column c: row 5 holds whole numbers, row 7 holds text"),
        ([True, 1], "column c: row 5 holds true or false, row 6 holds whole numbers"),
        ([0.5, D(1)], "column c: row 5 holds floats, row 6 holds decimals"),
        ([None, object()], "column c: row 6 holds an object of type object"),
        ([{1, 2}], "column c: row 5 holds an object of type set"),
        ([D("NaN")], "column c: row 5 holds NaN"),
        ([D(1).scaleb(30), D(1).scaleb(-20)], "column c: its decimals need 51 digits, 20 of them after the point"),
        ([NOON, NOON.replace(tzinfo=UTC)], "column c holds datetimes with and without a time zone"),
        ([DAY, NOON.replace(tzinfo=UTC)], "column c holds datetimes with and without a time zone"),
        ([{"a": [1, {2}]}], 'row 5: c["a"][1] is of type set, which is not JSON'),
        ([[float("nan")]], "row 5: c[0] is nan"),
    ],
)
def test_what_no_column_can_hold_is_told_with_its_row(values, message):
    with pytest.raises(NodeError) as raised:
        value_column("c", values, 5)
    assert raised.value.args[0] == message
    assert raised.value.help
