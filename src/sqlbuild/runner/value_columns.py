"""What the Python values of a column are, whatever mixture they came in."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import operator
import uuid
from collections.abc import Callable, Collection
from typing import Any

from sqlbuild.errors import NodeError, UnstorableResult
from sqlbuild.interfaces.loading import ValueColumn, ValueKind
from sqlbuild.runner.plain_json import plain_json_text

_KINDS: dict[type, ValueKind] = {
    bool: ValueKind.BOOLEAN,
    int: ValueKind.INTEGER,
    float: ValueKind.FLOAT,
    decimal.Decimal: ValueKind.DECIMAL,
    str: ValueKind.TEXT,
    bytes: ValueKind.BYTES,
    bytearray: ValueKind.BYTES,
    memoryview: ValueKind.BYTES,
    datetime.date: ValueKind.DATE,
    datetime.time: ValueKind.TIME,
    datetime.datetime: ValueKind.TIMESTAMP,
    datetime.timedelta: ValueKind.INTERVAL,
    uuid.UUID: ValueKind.UUID,
    dict: ValueKind.JSON,
    list: ValueKind.JSON,
    tuple: ValueKind.JSON,
}
_NONE = type(None)
_MIXTURES: dict[frozenset[ValueKind], ValueKind] = {
    frozenset({ValueKind.INTEGER, ValueKind.FLOAT}): ValueKind.FLOAT,
    frozenset({ValueKind.INTEGER, ValueKind.DECIMAL}): ValueKind.DECIMAL,
    frozenset({ValueKind.DATE, ValueKind.TIMESTAMP}): ValueKind.TIMESTAMP,
}
MAX_DIGITS = 38
_MAX_JSON = 1_000_000_000


def value_column(name: str, values: list[Any], first: int) -> ValueColumn:
    """The values with their common kind; those of other types become plain ones. `first` is the first row's number.

    Raises NodeError naming column and row for values that are no column's, and for two kinds that do not go together.
    """
    types = _types_of(values)
    if not types <= _KINDS.keys():
        values = [
            value if type(value) in _KINDS else _plain(value, name, first + at) for at, value in enumerate(values)
        ]
        types = _types_of(values)
    kinds = frozenset(_KINDS[each] for each in types)
    if not kinds:
        return ValueColumn(None, values)
    kind = next(iter(kinds)) if len(kinds) == 1 else _MIXTURES.get(kinds)
    if kind is None:
        raise _mixed(name, values, first)
    if kind in _CONVERTED:
        return _CONVERTED[kind](name, values, first)
    if kind is ValueKind.TIMESTAMP:
        return _timestamps(name, values, len(types) > 1)
    if kind is ValueKind.FLOAT and len(kinds) > 1:
        values = [None if value is None else float(value) for value in values]
    return ValueColumn(kind, values)


def _types_of(values: list[Any]) -> set[type]:
    # Counting one type is faster than collecting all, and mostly there is one.
    first = type(values[0]) if values else _NONE
    types = {first} if operator.countOf(map(type, values), first) == len(values) else set(map(type, values))
    types.discard(_NONE)
    return types


def _plain(value: object, name: str, row: int) -> object:
    """A value as one of the types of `_KINDS`, or None."""
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, enum.Enum):
        value = value.value
        return value if value is None or type(value) in _KINDS else _plain(value, name, row)
    for kind in _KINDS:
        if isinstance(value, kind) and kind is not datetime.date:
            return _as_base(value, kind)
    if isinstance(value, datetime.date):
        return datetime.date(value.year, value.month, value.day)
    item = getattr(value, "item", None)
    if type(value).__module__.partition(".")[0] in ("numpy", "pandas") and callable(item):
        plain = item()
        if plain is None or type(plain) in _KINDS:
            return plain
        if type(plain) is not type(value):
            return _plain(plain, name, row)
    raise NodeError(
        f"column {name}: row {row} holds an object of type {type(value).__qualname__}",
        help="give text, numbers, dates, bytes, dicts, lists or None",
    )


def _as_base(value: Any, kind: type) -> object:
    """An instance of a subclass, such as a str that is an enum member's or pandas' Timestamp, as the type itself."""
    if kind is datetime.datetime:
        return datetime.datetime.combine(value.date(), value.timetz(), value.tzinfo)
    if kind is datetime.timedelta:
        return datetime.timedelta(value.days, value.seconds, value.microseconds)
    if kind in (datetime.time, uuid.UUID):
        return value.replace() if kind is datetime.time else uuid.UUID(int=value.int)
    return kind(value)


def _decimals(name: str, values: list[Any], first: int) -> ValueColumn:
    scale = digits = 0
    for at, value in enumerate(values):
        if value is None:
            continue
        if type(value) is int:
            digits = max(digits, len(str(abs(value))))
            continue
        _, figures, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            raise NodeError(
                f"column {name}: row {first + at} holds {value}", help="decimals are finite: give None or a float"
            )
        scale = max(scale, -exponent)
        digits = max(digits, len(figures) + exponent)
    if scale + digits > MAX_DIGITS:
        raise NodeError(
            f"column {name}: its decimals need {scale + digits} digits, {scale} of them after the point",
            help=f"at most {MAX_DIGITS} can be stored: round them, or give floats or text",
        )
    return ValueColumn(ValueKind.DECIMAL, values, scale)


def _timestamps(name: str, values: list[Any], some_are_dates: bool) -> ValueColumn:
    if some_are_dates:
        midnight = datetime.time()
        values = [
            datetime.datetime.combine(value, midnight) if type(value) is datetime.date else value for value in values
        ]
    zones = {value.tzinfo is None for value in values if value is not None}
    if len(zones) > 1:
        raise NodeError(
            f"column {name} holds datetimes with and without a time zone",
            help="give all of them one, for example with .replace(tzinfo=datetime.UTC)",
        )
    return ValueColumn(ValueKind.TIMESTAMP if zones == {True} else ValueKind.TIMESTAMP_TZ, values)


def _json_texts(name: str, values: list[Any], first: int) -> ValueColumn:
    texts: list[str | None] = []
    for at, value in enumerate(values):
        if value is None:
            texts.append(None)
            continue
        try:
            texts.append(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        except (TypeError, ValueError, RecursionError):
            texts.append(_told_json(name, value, first + at))
    return ValueColumn(ValueKind.JSON, texts)


def _told_json(name: str, value: object, row: int) -> str | None:
    """JSON of a value with dates and the like in it. Raises NodeError with the path to what JSON cannot hold."""
    try:
        return plain_json_text(value, name, _MAX_JSON)
    except UnstorableResult as error:
        raise NodeError(f"row {row}: {error.args[0]}", help=error.help) from None


def _bytes(_name: str, values: list[Any], _first: int) -> ValueColumn:
    return ValueColumn(ValueKind.BYTES, [None if value is None else bytes(value) for value in values])


_CONVERTED: dict[ValueKind, Callable[[str, list[Any], int], ValueColumn]] = {
    ValueKind.DECIMAL: _decimals,
    ValueKind.JSON: _json_texts,
    ValueKind.BYTES: _bytes,
}


def _mixed(name: str, values: Collection[Any], first: int) -> NodeError:
    """Where the first two values of different kinds stand."""
    found: dict[ValueKind, int] = {}
    for at, value in enumerate(values):
        if value is not None:
            found.setdefault(_KINDS[type(value)], first + at)
    places = [f"row {row} holds {kind.value}" for kind, row in list(found.items())[:2]]
    return NodeError(
        f"column {name}: {', '.join(places)}",
        help="give all values of a column one type; str(value) makes text of any of them",
    )
