"""How it is noticed that a source has new data."""

from __future__ import annotations

import datetime
import enum

from sqlbuild.domain.record import record


class FreshnessStrategy(enum.StrEnum):
    """Where the version of a source's data is read."""

    ADAPTER = "adapter"
    """In what the warehouse knows of the table, without reading it."""
    COLUMN = "column"
    """The greatest value of a column."""
    SQL = "sql"
    """The one value that a query gives."""


class VersionKind(enum.StrEnum):
    TIMESTAMP = "timestamp"
    INTEGER = "integer"
    STRING = "string"


@record(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The `freshness` of a source. Durations are seconds; `kind` is None for what the warehouse knows of a table."""

    strategy: FreshnessStrategy
    kind: VersionKind | None = None
    column: str | None = None
    query: str | None = None
    filter: str | None = None
    lag_tolerance: float | None = None
    """A timestamp that is at most so much later than the one before is no new data."""
    warn_after: float | None = None
    """Data older than this is old."""
    error_after: float | None = None


NO_ROWS = "no rows"


def version_text(value: object, kind: VersionKind | None) -> str:
    """A value of the warehouse as it is compared and kept; times in UTC. Raises ValueError if it is of another kind."""
    if value is None:
        return NO_ROWS
    if kind is VersionKind.TIMESTAMP:
        return _moment(value).isoformat()
    if kind is VersionKind.INTEGER:
        if isinstance(value, bool) or int(str(value)) != value:
            raise ValueError(f"{value!r} is no whole number")
        return str(value)
    return str(value)


def effective_version(before: str | None, now: str, freshness: Freshness) -> str:
    """What counts as the version of the data: the one before, as long as it differs by no more than is tolerated."""
    if before is None or freshness.lag_tolerance is None or NO_ROWS in (before, now):
        return now
    passed = (_moment(now) - _moment(before)).total_seconds()
    return before if 0 <= passed <= freshness.lag_tolerance else now


def age_seconds(version: str, at: datetime.datetime) -> float:
    """Of a timestamp's version; `at` is aware."""
    return (at - _moment(version)).total_seconds()


def _moment(value: object) -> datetime.datetime:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    if not isinstance(value, datetime.datetime):
        raise ValueError(f"{value!r} is no time")  # noqa: TRY004 - of a value that the user's query gave
    return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)
