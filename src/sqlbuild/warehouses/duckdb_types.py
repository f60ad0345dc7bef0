"""DuckDB's column types: which kind of Python values has which, and which one holds the values of two."""

from __future__ import annotations

from sqlbuild.domain.pattern import pattern
from sqlbuild.interfaces.loading import ValueColumn, ValueKind

NO_TYPE = '"NULL"'
"""What DuckDB says of values that are all NULL."""

_TYPES = {
    ValueKind.BOOLEAN: "BOOLEAN",
    ValueKind.INTEGER: "BIGINT",
    ValueKind.FLOAT: "DOUBLE",
    ValueKind.TEXT: "VARCHAR",
    ValueKind.BYTES: "BLOB",
    ValueKind.DATE: "DATE",
    ValueKind.TIME: "TIME",
    ValueKind.TIMESTAMP: "TIMESTAMP",
    ValueKind.TIMESTAMP_TZ: "TIMESTAMP WITH TIME ZONE",
    ValueKind.INTERVAL: "INTERVAL",
    ValueKind.UUID: "UUID",
    ValueKind.JSON: "JSON",
}
LARGE_INTEGER = "DECIMAL(38,0)"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_FLOATS = ("FLOAT", "DOUBLE")
_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "UTINYINT": 3, "USMALLINT": 5, "UINTEGER": 10}
_WHOLE_NUMBERS = frozenset({*_INTEGERS, *_UNSIGNED})
_COARSE_TIMESTAMPS = ("TIMESTAMP_S", "TIMESTAMP_MS")
_DECIMAL = pattern(r"DECIMAL\((\d+), ?(\d+)\)")
MAX_DIGITS = 38


def type_of(column: ValueColumn) -> str | None:
    """None for a column without values. Whole numbers that a BIGINT cannot hold are found when they are encoded."""
    if column.kind is None:
        return None
    if column.kind is ValueKind.DECIMAL:
        return f"DECIMAL({MAX_DIGITS},{column.scale})"
    return _TYPES[column.kind]


def is_whole_number(type_: str) -> bool:
    return type_ in _WHOLE_NUMBERS


def is_float(type_: str) -> bool:
    return type_ in _FLOATS


def wider(one: str, other: str) -> str | None:
    """The type of the same family that holds every value of both, or None: whole numbers, floats, decimals."""
    if one == other:
        return one
    if one in _WHOLE_NUMBERS and other in _WHOLE_NUMBERS:
        return _wider_whole_number(one, other)
    if one in _FLOATS and other in _FLOATS:
        return "DOUBLE"
    first, second = _DECIMAL.fullmatch(one), _DECIMAL.fullmatch(other)
    if first and second:
        return _decimal(int(first[1]) - int(first[2]), int(first[2]), int(second[1]) - int(second[2]), int(second[2]))
    return None


def common(one: str, other: str) -> str | None:
    """The type for values of both that came with one load, or None. Beyond `wider`: whole numbers become floats or
    decimals beside some, dates become timestamps."""
    found = wider(one, other)
    if found is not None:
        return found
    for left, right in ((one, other), (other, one)):
        if left in _WHOLE_NUMBERS and right in _FLOATS:
            return "DOUBLE"
        decimal = _DECIMAL.fullmatch(right)
        if left in _WHOLE_NUMBERS and decimal:
            return _decimal(_DIGITS.get(left, 20), 0, int(decimal[1]) - int(decimal[2]), int(decimal[2]))
        if left == "DATE" and right == "TIMESTAMP":
            return "TIMESTAMP"
        if left in _COARSE_TIMESTAMPS and right == "TIMESTAMP":
            return "TIMESTAMP"
    return None


def fits(given: str, held: str) -> bool:
    """Whether values of the type `given` can be put into a column of the type `held`: none is changed silently."""
    if given == held or wider(given, held) == held:
        return True
    if given in _WHOLE_NUMBERS:
        # A number that is too large for the column is an error of its own when it is cast.
        return held in _FLOATS or _DECIMAL.fullmatch(held) is not None
    return common(given, held) == held


def _wider_whole_number(one: str, other: str) -> str | None:
    if (one in _INTEGERS) == (other in _INTEGERS):
        names = _INTEGERS if one in _INTEGERS else _UNSIGNED
        return names[max(names.index(one), names.index(other))]
    signed, unsigned = (one, other) if one in _INTEGERS else (other, one)
    # A signed type of the next size holds what an unsigned one does.
    place = max(_INTEGERS.index(signed), _UNSIGNED.index(unsigned) + 1)
    return _INTEGERS[place] if place < len(_INTEGERS) else None


def _decimal(digits: int, scale: int, other_digits: int, other_scale: int) -> str:
    """Both precisions if 38 digits are enough; else what is cut off is before the point, where it is noticed."""
    wide = max(scale, other_scale)
    return f"DECIMAL({min(MAX_DIGITS, max(digits, other_digits) + wide)},{wide})"
