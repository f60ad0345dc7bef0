from __future__ import annotations

import datetime

import pytest

from sqlbuild.domain.utc_text import utc_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000"),
        (1795359731.123456, "2026-11-22T15:02:11.123456"),
        (1795359731.9999997, "2026-11-22T15:02:12.000000"),
        (1795359731.0000004, "2026-11-22T15:02:11.000000"),
        (-0.25, "1969-12-31T23:59:59.750000"),
    ],
)
def test_times_are_iso_8601_to_the_microsecond_without_an_offset(seconds, text):
    assert utc_text(seconds) == text
    assert datetime.datetime.fromisoformat(text).microsecond == int(text[-6:])
