from __future__ import annotations

import datetime

import pytest

from sqlbuild.domain.freshness import (
    NO_ROWS,
    Freshness,
    FreshnessStrategy,
    VersionKind,
    age_seconds,
    effective_version,
    version_text,
)

NOON = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
PLUS_TWO = datetime.timezone(datetime.timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, VersionKind.INTEGER, NO_ROWS),
        (7, VersionKind.INTEGER, "7"),
        ("v7", VersionKind.STRING, "v7"),
        (7, VersionKind.STRING, "7"),
        (NOON, VersionKind.TIMESTAMP, "2026-11-01T12:00:00+00:00"),
        (NOON.replace(tzinfo=None), VersionKind.TIMESTAMP, "2026-11-01T12:00:00+00:00"),
        (NOON.astimezone(PLUS_TWO), VersionKind.TIMESTAMP, "2026-11-01T12:00:00+00:00"),
        (NOON.date(), VersionKind.TIMESTAMP, "2026-11-01T00:00:00+00:00"),
        ("2026-11-01 14:00:00+02:00", VersionKind.TIMESTAMP, "2026-11-01T12:00:00+00:00"),
    ],
)
def test_a_version_is_the_same_text_however_the_value_is_given(value, kind, text):
    assert version_text(value, kind) == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1.5, VersionKind.INTEGER), (True, VersionKind.INTEGER), ("x", VersionKind.TIMESTAMP), (7, VersionKind.TIMESTAMP)],
)
def test_a_value_of_another_kind_is_refused(value, kind):
    with pytest.raises(ValueError):
        version_text(value, kind)


def tolerating(seconds):
    return Freshness(strategy=FreshnessStrategy.COLUMN, kind=VersionKind.TIMESTAMP, column="at", lag_tolerance=seconds)


@pytest.mark.parametrize(
    ("before", "now", "seconds", "counts"),
    [
        (None, "2026-11-01T12:00:00+00:00", 60.0, "now"),
        ("2026-11-01T12:00:00+00:00", "2026-11-01T12:01:00+00:00", 60.0, "before"),
        ("2026-11-01T12:00:00+00:00", "2026-11-01T12:01:01+00:00", 60.0, "now"),
        ("2026-11-01T12:00:00+00:00", "2026-11-01T11:59:59+00:00", 60.0, "now"),
        ("2026-11-01T12:00:00+00:00", "2026-11-01T12:00:01+00:00", None, "now"),
        (NO_ROWS, "2026-11-01T12:00:00+00:00", 60.0, "now"),
        ("2026-11-01T12:00:00+00:00", NO_ROWS, 60.0, "now"),
    ],
)
def test_a_little_later_is_not_new(before, now, seconds, counts):
    assert effective_version(before, now, tolerating(seconds)) == {"now": now, "before": before}[counts]


def test_age_is_counted_from_the_version():
    assert age_seconds("2026-11-01T11:59:00+00:00", NOON) == 60.0
