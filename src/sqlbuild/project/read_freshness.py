"""The `freshness` of a source in a YAML file."""

from __future__ import annotations

from collections.abc import Sequence

from sqlbuild.domain.columns import Column
from sqlbuild.domain.freshness import Freshness, FreshnessStrategy, VersionKind
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.located import describe
from sqlbuild.project.model_fields import duration_seconds

KEYS = frozenset({"strategy", "type", "column", "query", "filter", "lag_tolerance", "age_policy"})
_KINDS = {
    VersionKind.TIMESTAMP: "timestamp timestamptz timestamp_ntz timestamp_ltz timestamp_tz datetime datetime2 "
    "datetimeoffset smalldatetime",
    VersionKind.INTEGER: "integer int bigint smallint tinyint int2 int4 int8 int64",
    VersionKind.STRING: "varchar string text char character nchar nvarchar",
}
_KIND_OF_TYPE = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_PHRASES = {"timestamp with time zone": VersionKind.TIMESTAMP, "character varying": VersionKind.STRING}


def read_freshness(source: FieldReader, columns: Sequence[Column]) -> Freshness | None:
    """None without the key; what is wrong with it becomes a problem."""
    if "freshness" not in source.entries:
        return None
    reader = source.table("freshness")
    if reader is None:
        return None
    reader.refuse_unknown(KEYS)
    strategy = _strategy(reader)
    kind = _kind(reader, strategy, columns)
    for key, where in (("column", FreshnessStrategy.COLUMN), ("query", FreshnessStrategy.SQL), ("filter", None)):
        wanted = where or FreshnessStrategy.COLUMN
        if key in reader.entries and strategy is not wanted:
            reader.refuse(
                key,
                f"`{reader.name_of(key)}` does not go with the strategy {strategy}",
                "keep one of the two",
                at_key=True,
            )
    if strategy is FreshnessStrategy.COLUMN:
        reader.require("column", "name the column whose greatest value is read")
    if strategy is FreshnessStrategy.SQL:
        reader.require("query", "write a query that gives one value")
    tolerance = _duration(reader, "lag_tolerance")
    if tolerance is not None and kind is not VersionKind.TIMESTAMP:
        reader.refuse(
            "lag_tolerance", f"`{reader.name_of('lag_tolerance')}` needs `type: timestamp`", "remove it", at_key=True
        )
        tolerance = None
    age = reader.table("age_policy")
    if age is not None:
        age.refuse_unknown({"warn_after", "error_after"})
        if kind is not VersionKind.TIMESTAMP:
            reader.refuse(
                "age_policy", f"`{reader.name_of('age_policy')}` needs `type: timestamp`", "remove it", at_key=True
            )
            age = None
    return Freshness(
        strategy=strategy,
        kind=kind,
        column=reader.text("column"),
        query=reader.text("query"),
        filter=reader.text("filter"),
        lag_tolerance=tolerance,
        warn_after=_duration(age, "warn_after") if age is not None else None,
        error_after=_duration(age, "error_after") if age is not None else None,
    )


def _strategy(reader: FieldReader) -> FreshnessStrategy:
    written = reader.choice("strategy", tuple(FreshnessStrategy))
    if written is not None:
        return FreshnessStrategy(written)
    if "column" in reader.entries and "query" in reader.entries:
        reader.refuse("query", f"`{reader.path}` has both `column` and `query`", "keep one of the two", at_key=True)
    if "column" in reader.entries:
        return FreshnessStrategy.COLUMN
    return FreshnessStrategy.SQL if "query" in reader.entries else FreshnessStrategy.ADAPTER


def _kind(reader: FieldReader, strategy: FreshnessStrategy, columns: Sequence[Column]) -> VersionKind | None:
    written = reader.choice("type", tuple(VersionKind))
    if strategy is FreshnessStrategy.ADAPTER:
        if written is not None:
            reader.refuse("type", f"`{reader.name_of('type')}` needs `column` or `query`", "remove it", at_key=True)
        return None
    declared = _declared_kind(reader, columns) if strategy is FreshnessStrategy.COLUMN else None
    if written is None and declared is None:
        reader.require("type", "write timestamp, integer or string, or declare the column with such a type")
        return None
    if written is not None and declared is not None and written != declared:
        reader.refuse(
            "type",
            f"`{reader.name_of('type')}` is {written}, but the column is declared as {declared}",
            f"write {declared}, or remove it",
        )
    return VersionKind(written) if written is not None else declared


def _declared_kind(reader: FieldReader, columns: Sequence[Column]) -> VersionKind | None:
    name = (reader.text("column") or "").lower()
    written = next((column.type for column in columns if column.name.lower() == name), None)
    if written is None:
        return None
    plain = " ".join(written.lower().partition("(")[0].split())
    return _PHRASES.get(plain) or _KIND_OF_TYPE.get(plain)


def _duration(reader: FieldReader, key: str) -> float | None:
    entry = reader.entries.get(key)
    if entry is None or entry.value is None:
        return None
    seconds = _seconds(entry.value) if isinstance(entry.value, str) else None
    if seconds is None:
        reader.refuse(
            key, f"`{reader.name_of(key)}` must be a duration, not {describe(entry.value)}", "write 15m, 2h or 1d"
        )
    return seconds


def _seconds(text: str) -> float | None:
    """Of `15m`, `2h`, `1d`."""
    days = text.strip().removesuffix("d")
    return float(days) * 86_400 or None if days != text.strip() and days.isdecimal() else duration_seconds(text)
