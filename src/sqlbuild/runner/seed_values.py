"""Texts of a CSV file as the values of typed columns, in one way for every warehouse.

What a warehouse makes of text differs: `1.5` as a whole number, `05/01/2024` as a date, `on` as a truth value. So the types
that all of them have are read here, and only text of other types is left to the warehouse.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.interfaces.loading import ValueColumn, ValueKind
from sqlbuild.sql.type_names import canonical_type

MOST_KNOWN = 100_000
"""Texts of one column that are remembered with their values."""

_T = TypeVar("_T")
_WHOLE = pattern(r"[+-]?[0-9]+")
_NUMBER = pattern(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_FLOAT = pattern(rf"{_NUMBER.pattern}|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_DATE = r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})"
_TIME = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?"
_ONLY_DATE, _ONLY_TIME = pattern(_DATE), pattern(_TIME)
_TIMESTAMP = pattern(rf"{_DATE}(?:[ T]{_TIME})?")
_TIMESTAMP_TZ = pattern(rf"{_TIMESTAMP.pattern} ?(Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?", re.IGNORECASE)
_DECIMAL = pattern(r"(?:DECIMAL|numeric)\((\d+),(\d+)\)")
_TRUTH = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
_BITS = {
    "TINYINT": 8,
    "SMALLINT": 16,
    "INTEGER": 32,
    "BIGINT": 64,
    "smallint": 16,
    "integer": 32,
    "bigint": 64,
}
_UNSIGNED_BITS = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64}
_LARGE = ("HUGEINT", "UHUGEINT", "BIGNUM")


class BadText(ValueError):
    """A text is no value of the type; says why, or nothing."""


@record(frozen=True, slots=True)
class TextReader:
    """What texts of one column become: values of `kind`. `read` raises BadText."""

    kind: ValueKind
    read: Callable[[str], object] | None = None
    """None: the texts themselves."""
    scale: int = 0

    def column(self, values: list[object]) -> ValueColumn:
        return ValueColumn(self.kind, values, self.scale)


def reader_for(type_: str, dialect: str) -> TextReader:
    """Of a declared type; text of a type that is not known here is cast by the warehouse."""
    name = canonical_type(type_, dialect) or ""
    if name in _BITS:
        bits = _BITS[name]
        return TextReader(ValueKind.INTEGER, _whole_number(range(-(2 ** (bits - 1)), 2 ** (bits - 1))))
    if name in _UNSIGNED_BITS:
        return TextReader(ValueKind.INTEGER, _whole_number(range(2 ** _UNSIGNED_BITS[name])))
    if name in _LARGE:
        return TextReader(ValueKind.TEXT, _whole_number_text)
    if found := _DECIMAL.fullmatch(name):
        precision, scale = map(int, found.groups())
        return TextReader(ValueKind.DECIMAL, _decimal(precision, scale), scale)
    return _READERS.get(name) or TextReader(ValueKind.TEXT)


class TextColumn:
    """Reads the texts of one column. What was read once is known: most columns say the same again and again."""

    def __init__(self, reader: TextReader, nulls: Iterable[str] = ()) -> None:
        self._reader = reader
        self._nulls: dict[str, object] = dict.fromkeys(nulls)
        self._known = dict(self._nulls)

    def values(self, texts: Sequence[str]) -> tuple[list[object], tuple[int, str] | None]:
        """The values, or of the first text that is none its index and why."""
        read = self._reader.read
        if read is None:
            nulls = self._nulls
            return [None if text in nulls else text for text in texts], None
        if len(self._known) > MOST_KNOWN:
            self._known = dict(self._nulls)
        known = self._known
        wrong: dict[str, str] = {}
        for text in set(texts).difference(known):
            try:
                known[text] = read(text.strip())
            except BadText as error:
                wrong[text] = str(error)
        if wrong:
            return [], next((index, wrong[text]) for index, text in enumerate(texts) if text in wrong)
        return list(map(known.__getitem__, texts)), None


def _whole_number(there: range) -> Callable[[str], object]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) and not _WHOLE.fullmatch(text):
            raise BadText
        # Longer ones are out of range, and long ones take their time.
        value = int(text) if len(text) <= 30 else there.stop
        if value not in there:
            raise BadText(f"it is not within {there.start} and {there.stop - 1}")
        return value

    return read


def _whole_number_text(text: str) -> str:
    if not _WHOLE.fullmatch(text):
        raise BadText
    return text.removeprefix("+")


def _decimal(precision: int, scale: int) -> Callable[[str], object]:
    unit = decimal.Decimal(1).scaleb(-scale)
    limit = decimal.Decimal(10) ** (precision - scale)
    context = decimal.Context(prec=max(precision, 1) + 4, rounding=decimal.ROUND_HALF_UP)

    def read(text: str) -> decimal.Decimal:
        value = _any_decimal(text)
        if value.adjusted() <= precision - scale:
            value = value.quantize(unit, context=context)
        if abs(value) >= limit:
            raise BadText(f"it has more than {precision - scale} digits before the point")
        return value

    return read


def _any_decimal(text: str) -> decimal.Decimal:
    if not _NUMBER.fullmatch(text):
        raise BadText
    return decimal.Decimal(text)


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise BadText
    value = float(text)
    if value in (float("inf"), float("-inf")) and "i" not in text.lower():
        raise BadText("it is too large")
    return value


def _truth(text: str) -> bool:
    value = _TRUTH.get(text.lower())
    if value is None:
        raise BadText("write true or false")
    return value


def _date(text: str) -> datetime.date:
    found = _ONLY_DATE.fullmatch(text)
    if found is None:
        raise BadText("write year, month and day as in 2024-01-31")
    return _valid(lambda: datetime.date(*map(int, found.groups())))


def _time(text: str) -> datetime.time:
    found = _ONLY_TIME.fullmatch(text)
    if found is None:
        raise BadText("write it as in 18:30:00")
    return _valid(lambda: datetime.time(*_parts_of_time(found.groups())))


def _timestamp(text: str) -> datetime.datetime:
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        if _TIMESTAMP_TZ.fullmatch(text):
            raise BadText("it has an offset: declare a type with a time zone, or take the offset out")
        raise BadText("write it as in 2024-01-31 18:30:00, with at most 6 digits after the seconds")
    year, month, day, *time = found.groups()
    parts = _parts_of_time(time)
    return _valid(lambda: datetime.datetime(int(year), int(month), int(day), *parts, tzinfo=None))  # noqa: DTZ001


def _timestamp_tz(text: str) -> datetime.datetime:
    """Without an offset it is UTC, whatever time zone the connection has."""
    found = _TIMESTAMP_TZ.fullmatch(text)
    if found is None:
        raise BadText("write it as in 2024-01-31T18:30:00+02:00, with at most 6 digits after the seconds")
    year, month, day, *time, offset = found.groups()
    zone: datetime.tzinfo = datetime.UTC
    if offset is not None and offset.upper() != "Z":
        minutes = int(offset[1:3]) * 60 + int(offset[3:].lstrip(":") or 0)
        zone = _valid(lambda: datetime.timezone(datetime.timedelta(minutes=int(f"{offset[0]}{minutes}"))))
    parts = _parts_of_time(time)
    return _valid(
        lambda: datetime.datetime(int(year), int(month), int(day), *parts, tzinfo=zone).astimezone(datetime.UTC)
    )


def _parts_of_time(parts: Sequence[str | None]) -> tuple[int, int, int, int]:
    hour, minute, second, fraction = parts
    return int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "").ljust(6, "0") or 0)


def _valid(make: Callable[[], _T]) -> _T:
    try:
        return make()
    except (ValueError, OverflowError) as error:
        raise BadText(str(error)) from None


_READERS = {
    **dict.fromkeys(("DOUBLE", "FLOAT", "double precision", "real"), TextReader(ValueKind.FLOAT, _float)),
    **dict.fromkeys(("BOOLEAN", "boolean"), TextReader(ValueKind.BOOLEAN, _truth)),
    **dict.fromkeys(("DATE", "date"), TextReader(ValueKind.DATE, _date)),
    **dict.fromkeys(("TIME", "time without time zone"), TextReader(ValueKind.TIME, _time)),
    **dict.fromkeys(("TIMESTAMP", "timestamp without time zone"), TextReader(ValueKind.TIMESTAMP, _timestamp)),
    **dict.fromkeys(
        ("TIMESTAMP WITH TIME ZONE", "timestamp with time zone"), TextReader(ValueKind.TIMESTAMP_TZ, _timestamp_tz)
    ),
    "numeric": TextReader(ValueKind.DECIMAL, _any_decimal),
}
