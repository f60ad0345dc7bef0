import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.errors import UnstorableResult
from sqlbuild.runner.plain_json import plain_json_text

LIMIT = 1_048_576


@dataclasses.dataclass
class Row:
    price: object


class Colour(enum.Enum):
    RED = "red"


def text(value, limit=LIMIT):
    return plain_json_text(value, "payload", limit)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "2026-01-02T03:04:00+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (Colour.RED, "red"),
        (Row(price=(1,)), {"price": [1]}),
        ({"a": {"b": [True, None, "é"]}}, {"a": {"b": [True, None, "é"]}}),
    ],
)
def test_common_values_become_plain_json(value, expected):
    assert json.loads(text(value)) == expected


def test_numpy_and_pandas_scalars_become_numbers():
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    assert text({"n": numpy.int64(3), "f": numpy.float32(0.5), "b": numpy.bool_(True)}) == '{"n":3,"f":0.5,"b":true}'
    assert json.loads(text(pandas.Timestamp("2026-01-02"))) == "2026-01-02T00:00:00"


def cycle():
    value: list[object] = []
    value.append(value)
    return value


def deep():
    value: object = 1
    for _ in range(200):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rows": [0, 1, 2, Row(price=float("nan"))]}, r'payload\["rows"\]\[3\]\.price is nan'),
        ([float("inf")], r"payload\[0\] is inf"),
        (b"x", "payload is of type bytes"),
        ({1, 2}, r"payload is of type set.*sorted"),
        ({1: "a"}, "payload has a key of type int"),
        ("a\0b", "NUL"),
        (["\ud800"], r"payload\[0\] holds a lone surrogate"),
        (cycle(), r"payload\[0\] contains itself"),
        (deep(), "nested deeper than 100"),
        (object(), "payload is of type object"),
    ],
)
def test_what_cannot_be_stored_is_named_by_its_path(value, message):
    with pytest.raises(UnstorableResult, match=message):
        text(value)


def test_pandas_nat_is_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(UnstorableResult, match="NaT"):
        text({"at": pandas.NaT})


def test_the_size_limit_counts_bytes_of_utf8():
    assert text("é" * 10, limit=22) is not None
    with pytest.raises(UnstorableResult, match="23 bytes"):
        text("é" * 10 + "x", limit=22)


def test_nothing_is_stored_for_none():
    assert text(None) is None


def test_a_hostile_repr_is_never_called():
    class Hostile:
        def __repr__(self):
            raise RuntimeError("repr was called")

    with pytest.raises(UnstorableResult, match="of type Hostile"):
        text([Hostile()])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
        max_leaves=20,
    ).filter(lambda value: value is not None)
)  # fmt: skip
def test_plain_json_round_trips_unchanged(value):
    assert json.loads(text(value)) == value
