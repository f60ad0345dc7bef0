"""Types of PostgreSQL, as `format_type` spells them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlbuild.domain.pattern import pattern

_SIMPLE = """
    bytea box cidr circle date inet interval json jsonb line lseg macaddr macaddr8 money name oid path point polygon text
    tsquery tsvector uuid xml int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange
    nummultirange tsmultirange tstzmultirange datemultirange jsonpath
"""
_NAMES = {
    alias: name
    for name, aliases in {
        "bigint": "int8",
        "boolean": "bool",
        "character": "char",
        "character varying": "varchar",
        "double precision": "float8",
        "integer": "int int4",
        "numeric": "decimal dec",
        "real": "float4",
        "smallint": "int2",
        "time without time zone": "time",
        "time with time zone": "timetz",
        "timestamp without time zone": "timestamp",
        "timestamp with time zone": "timestamptz",
    }.items()
    for alias in (*aliases.split(), name)
} | {name: name for name in _SIMPLE.split()}
_TYPE = pattern(r"([a-z][a-z0-9_ ]*?) ?(?:\(([\d, ]*)\))?((?: with| without) time zone)?((?: ?\[\d*\])*)")
_INTEGERS = ("smallint", "integer", "bigint")
_NUMBERS = (*_INTEGERS, "numeric", "real", "double precision")
TIMESTAMP = "timestamp without time zone"
TIMESTAMP_TZ = "timestamp with time zone"
_SHORTEST_DOUBLE = 25
"""float(24) is a real."""


def postgres_type_name(text: str) -> str | None:
    """`varchar(10)` as `character varying(10)`; None for types of extensions and users, whose schema is not known."""
    found = _TYPE.fullmatch(" ".join(text.lower().split()))
    if found is None:
        return None
    base, lengths, zone, dimensions = found.groups()
    sizes = [size.strip() for size in lengths.split(",")] if lengths else []
    if base == "float":
        short = bool(sizes) and int(sizes[0]) < _SHORTEST_DOUBLE
        base, sizes = ("real" if short else "double precision"), []
    written = f"{base}{zone or ''}"
    if written not in _NAMES:
        return None
    name = _NAMES[written]
    if name == "character" and not sizes:
        sizes = ["1"]
    if name == "numeric" and len(sizes) == 1:
        sizes.append("0")
    # PostgreSQL itself does not tell one dimension from several.
    return f"{_with_sizes(name, sizes)}{'[]' if dimensions else ''}"


def _with_sizes(name: str, sizes: Sequence[str]) -> str:
    if not sizes:
        return name
    first, space, rest = name.partition(" ") if name.startswith("time") else (name, "", "")
    return f"{first}({','.join(sizes)}){space}{rest}"


def without_sizes(name: str | None) -> str | None:
    """What most functions make of `numeric(10,2)`: `numeric`. Of a `character(3)` they make various things: None."""
    if name is None or name.startswith("character("):
        return None
    return re.sub(r"\([\d,]*\)", "", name)


def joint_postgres_type(first: str | None, second: str | None) -> str | None:
    """The type of a column that has values of both types; None where that is not sure."""
    if first == second:
        return first
    one, other = without_sizes(first), without_sizes(second)
    if one is None or other is None:
        return None
    if one == other:
        return one
    if one in _NUMBERS and other in _NUMBERS and "real" not in (one, other):
        return max(one, other, key=_NUMBERS.index)
    return None
