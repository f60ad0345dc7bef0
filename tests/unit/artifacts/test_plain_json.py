from __future__ import annotations

import datetime

import pytest

from sqlbuild.artifacts.plain_json import plain_json


def test_what_json_has_stays():
    assert plain_json({"a": [1, 2.5, None, True, "x"]}) == {"a": [1, 2.5, None, True, "x"]}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({2: (1,)}, {"2": [1]}),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (float("nan"), "nan"),
        ([float("-inf")], ["-inf"]),
        (b"x", "b'x'"),
    ],
)
def test_what_json_does_not_have_becomes_text(value, plain):
    assert plain_json(value) == plain
