"""PostgreSQL's column types: which kind of Python values has which, and which one holds the values of two.

They are spelled as `format_type` spells them.
"""

from __future__ import annotations

from sqlbuild.domain.pattern import pattern
from sqlbuild.interfaces.loading import ValueColumn, ValueKind

TIMESTAMP = "timestamp without time zone"
TIMESTAMP_TZ = "timestamp with time zone"
TIME = "time without time zone"
DOUBLE = "double precision"
LARGE_INTEGER = "numeric"
WHOLE_NUMBERS = ("smallint", "integer", "bigint")
FLOATS = ("real", DOUBLE)
_TYPES = {
    ValueKind.BOOLEAN: "boolean",
    ValueKind.INTEGER: "bigint",
    ValueKind.FLOAT: DOUBLE,
    ValueKind.DECIMAL: "numeric",
    ValueKind.TEXT: "text",
    ValueKind.BYTES: "bytea",
    ValueKind.DATE: "date",
    ValueKind.TIME: TIME,
    ValueKind.TIMESTAMP: TIMESTAMP,
    ValueKind.TIMESTAMP_TZ: TIMESTAMP_TZ,
    ValueKind.INTERVAL: "interval",
    ValueKind.UUID: "uuid",
    ValueKind.JSON: "jsonb",
}
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_MAX_DIGITS = 1_000
_NUMERIC = pattern(r"numeric\((\d+),(\d+)\)")
_SIZED = pattern(r"(character varying|time|timestamp)(?:\((\d+)\))?( with(?:out)? time zone)?")
_JSON = ("json", "jsonb")
_BIGINT = range(-(2**63), 2**63)


def type_of(column: ValueColumn) -> str | None:
    """None for a column without values. Whole numbers that a bigint cannot hold are found when they are sent."""
    return None if column.kind is None else _TYPES[column.kind]


def is_large(value: int | None) -> bool:
    return value is not None and value not in _BIGINT


def wider(one: str, other: str) -> str | None:
    """The type of the same family that holds every value of both, or None."""
    if one == other:
        return one
    for family in (WHOLE_NUMBERS, FLOATS):
        if one in family and other in family:
            return family[max(family.index(one), family.index(other))]
    if _is_numeric(one) and _is_numeric(other):
        return _wider_numeric(one, other)
    if one.endswith("[]") and other.endswith("[]"):
        both = wider(one[:-2], other[:-2])
        return None if both is None else f"{both}[]"
    return _wider_sized(one, other)


def common(one: str, other: str) -> str | None:
    """The type for values of both that came with one load, or None. Beyond `wider`: whole numbers become floats or
    numeric beside some, dates become timestamps."""
    found = wider(one, other)
    if found is not None:
        return found
    for left, right in ((one, other), (other, one)):
        if left in WHOLE_NUMBERS and right in FLOATS:
            return DOUBLE
        if left in WHOLE_NUMBERS and _is_numeric(right):
            return _wider_numeric(f"numeric({_DIGITS[left]},0)", right)
        if left == "date" and right == TIMESTAMP:
            return TIMESTAMP
    return None


def fits(given: str, held: str) -> bool:
    """Whether values of the type `given` can be put into a column of the type `held`: none is changed silently."""
    if given == held or wider(given, held) == held:
        return True
    if given in WHOLE_NUMBERS:
        # A number that is too large for the column is an error of its own.
        return held in FLOATS or _is_numeric(held)
    if given == "text":
        return held.startswith("character varying")
    if given in _JSON and held in _JSON:
        return True
    return common(given, held) == held


def _is_numeric(type_: str) -> bool:
    return type_ == "numeric" or _NUMERIC.fullmatch(type_) is not None


def _wider_numeric(one: str, other: str) -> str:
    """Without a precision it holds all of them."""
    first, second = _NUMERIC.fullmatch(one), _NUMERIC.fullmatch(other)
    if first is None or second is None:
        return "numeric"
    scale = max(int(first[2]), int(second[2]))
    digits = scale + max(int(first[1]) - int(first[2]), int(second[1]) - int(second[2]))
    return f"numeric({digits},{scale})" if digits <= _MAX_DIGITS else "numeric"


def _wider_sized(one: str, other: str) -> str | None:
    """Text and varchar of any length, and times of more or fewer digits."""
    texts = [type_ == "text" or type_.startswith("character varying") for type_ in (one, other)]
    if all(texts) and "text" in (one, other):
        return "text"
    first, second = _SIZED.fullmatch(one), _SIZED.fullmatch(other)
    if first is None or second is None or (first[1], first[3]) != (second[1], second[3]):
        return None
    if first[2] is None or second[2] is None:
        return one if first[2] is None else other
    return one if int(first[2]) >= int(second[2]) else other
