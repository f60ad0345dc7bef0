from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import re
import typing
import uuid

import pytest

from sqlbuild.project.canonical_value import canonical_json
from sqlbuild.refs import model


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Settings:
    url: str
    limits: dict[str, int]


class Point(typing.NamedTuple):
    x: int


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        10**5000,
        1.5,
        float("inf"),
        "text \ud800",
        b"bytes",
        [1, (2, 3)],
        {"b": 1, "a": [2]},
        {1: "x", (2, 3): "y"},
        {"a", "b"},
        datetime.date(2013, 1, 1),
        datetime.timedelta(1),
        decimal.Decimal("1.50"),
        uuid.UUID(int=3),
        pathlib.Path("a/b"),
        re.compile("a+", re.IGNORECASE),
        range(3),
        Colour.RED,
        Settings("http://x", {"a": 1}),
        Point(3),
        model("fact_orders"),
        list(range(10_000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_have_a_short_text(value):
    text = canonical_json(value)
    assert json.loads(text) is not Ellipsis
    assert len(text) < 8_000 if isinstance(value, int) else len(text) <= 1_000
    assert canonical_json(value) == text
    assert "0x7" not in text


@pytest.mark.parametrize("value", [object(), [object()], {"a": {"b": lambda: 1}}, type("X", (), {})(), ...])
def test_objects_with_a_state_of_their_own_have_none(value):
    assert canonical_json(value) is None


def test_a_value_that_contains_itself_has_none():
    circular: list[object] = []
    circular.append(circular)
    assert canonical_json(circular) is None


@pytest.mark.parametrize(
    ("one", "two"),
    [(1, True), (1, 1.0), ("1", 1), ({"a": 1}, [["a", 1]]), ({1, 2}, [1, 2]), (["dict"], {"dict": 1}), ("x" * 2000, "x" * 2001)],
)  # fmt: skip
def test_different_values_have_different_texts(one, two):
    assert canonical_json(one) != canonical_json(two)


def test_the_order_of_keys_and_members_does_not_matter():
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})
    assert canonical_json(set("abcdef")) == canonical_json(set("fedcba"))
    assert canonical_json({2: 1, 1: 2}) == canonical_json({1: 2, 2: 1})
