"""The names of column types as the warehouse itself spells them."""

from __future__ import annotations

import functools

from sqlbuild.domain.pattern import pattern
from sqlbuild.sql.postgres_types import postgres_type_name

_SIMPLE_TYPE = pattern(r"([A-Z][A-Z0-9_ ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?((?:\s*\[\d*\])*)")

_DUCKDB_NAMES = {
    alias: name
    for name, aliases in {
        "BIGINT": "BIGINT INT8 LONG INT64 OID",
        "BIGNUM": "BIGNUM VARINT",
        "BIT": "BIT BITSTRING",
        "BLOB": "BLOB BYTEA BINARY VARBINARY",
        "BOOLEAN": "BOOLEAN BOOL LOGICAL",
        "DATE": "DATE",
        "DECIMAL": "DECIMAL NUMERIC DEC",
        "DOUBLE": "DOUBLE FLOAT8",
        "FLOAT": "FLOAT FLOAT4 REAL",
        "GEOMETRY": "GEOMETRY",
        "HUGEINT": "HUGEINT INT128",
        "INTEGER": "INTEGER INT INT4 SIGNED INT32",
        "INTERVAL": "INTERVAL",
        "JSON": "JSON",
        "SMALLINT": "SMALLINT INT2 SHORT INT16",
        "TIME": "TIME",
        "TIME WITH TIME ZONE": "TIMETZ",
        "TIMESTAMP": "TIMESTAMP DATETIME TIMESTAMP_US",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
        "TIMESTAMP_MS": "TIMESTAMP_MS",
        "TIMESTAMP_NS": "TIMESTAMP_NS",
        "TIMESTAMP_S": "TIMESTAMP_S",
        "TIME_NS": "TIME_NS",
        "TINYINT": "TINYINT INT1",
        "UBIGINT": "UBIGINT UINT64",
        "UHUGEINT": "UHUGEINT UINT128",
        "UINTEGER": "UINTEGER UINT32",
        "USMALLINT": "USMALLINT UINT16",
        "UTINYINT": "UTINYINT UINT8",
        "UUID": "UUID GUID",
        "VARCHAR": "VARCHAR TEXT STRING CHAR BPCHAR NVARCHAR",
        "VARIANT": "VARIANT",
    }.items()
    for alias in aliases.split()
} | {
    "CHARACTER VARYING": "VARCHAR",
    "DOUBLE PRECISION": "DOUBLE",
    "TIME WITH TIME ZONE": "TIME WITH TIME ZONE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
}


@functools.lru_cache(maxsize=1024)
def canonical_type(text: str | None, dialect: str) -> str | None:
    """`int4` as `INTEGER`, the way DESCRIBE shows it, or `integer`, the way psql does; None where that is not sure, as
    for nested and own types."""
    if text is None:
        return None
    if dialect != "duckdb":
        return postgres_type_name(text)
    found = _SIMPLE_TYPE.fullmatch(" ".join(text.upper().split()))
    if found is None:
        return None
    base, precision, scale, lists = found.groups()
    name = _DUCKDB_NAMES.get(base)
    if name is None or (name.startswith("TIME") and precision is not None):
        return None
    if name == "DECIMAL":
        name = f"DECIMAL({precision or 18},{scale or (0 if precision else 3)})"
    return name + lists.replace(" ", "")


# Types that are one in a file, whatever their length or precision; those of numeric count.
_POSTGRES_NAMES = {
    alias: name
    for name, aliases in {
        "bigint": ("int8", "bigserial"),
        "boolean": ("bool",),
        "bytea": ("blob", "binary", "varbinary"),
        "double precision": ("float8", "float", "double"),
        "integer": ("int", "int4", "serial"),
        "json": ("jsonb",),
        "numeric": ("decimal", "dec"),
        "real": ("float4",),
        "smallint": ("int2",),
        "text": ("varchar", "character varying", "char", "character", "bpchar", "string", "name", "citext"),
        "time without time zone": ("time",),
        "time with time zone": ("timetz",),
        "timestamp without time zone": ("timestamp", "datetime"),
        "timestamp with time zone": ("timestamptz",),
    }.items()
    for alias in aliases
}
_POSTGRES_TYPE = pattern(r"([a-z][\w ]*?) ?(?:\(([\d, ]*)\))?( with(?:out)? time zone)?((?: ?\[\d*\])*)")


def same_type(one: str, other: str, dialect: str) -> bool:
    """Whether two spellings are of one type, as far as it is told by a value in a file."""
    if dialect == "postgres":
        return _postgres_type(one) == _postgres_type(other)
    first, second = canonical_type(one, dialect), canonical_type(other, dialect)
    if first is not None and second is not None:
        return first == second
    return _spaceless(one) == _spaceless(other)


def _postgres_type(text: str) -> str:
    found = _POSTGRES_TYPE.fullmatch(" ".join(text.lower().split()))
    if found is None:
        return _spaceless(text)
    base, lengths, zone, dimensions = found.groups()
    name = f"{base}{zone or ''}"
    name = _POSTGRES_NAMES.get(name, name)
    if name == "numeric" and lengths:
        precision, _, scale = _spaceless(lengths).partition(",")
        name = f"numeric({precision},{scale or 0})"
    # PostgreSQL itself does not tell one dimension from several.
    return f"{name}[]" if dimensions else name


def _spaceless(text: str) -> str:
    return "".join(text.lower().split())
