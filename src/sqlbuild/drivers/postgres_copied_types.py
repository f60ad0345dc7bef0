"""Columns of a query as PostgreSQL's COPY gives them in CSV, and as DuckDB reads them: every value exactly, or as text.

A type that DuckDB has not is text: it is never taken for one that is nearly the same.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from sqlbuild.domain.record import record

_NUMERIC = 1700
_PADDED = 1042
_MAX_PRECISION = 38
TEXT = "VARCHAR"
_SCALARS = {
    16: "BOOLEAN",
    17: "BLOB",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    26: "UINTEGER",  # oid
    114: "JSON",
    700: "FLOAT",
    701: "DOUBLE",
    1082: "DATE",
    1083: "TIME",
    1114: "TIMESTAMP",
    1184: "TIMESTAMP WITH TIME ZONE",
    1186: "INTERVAL",
    2950: "UUID",
    3802: "JSON",  # jsonb
}
"""Types of PostgreSQL have the same numbers in every database; those of users and extensions have higher ones."""

_DESCRIBE = """
WITH RECURSIVE given AS (
    SELECT * FROM unnest($1::oid[], $2::integer[]) WITH ORDINALITY AS g (type, modifier, number)
), element AS (
    SELECT number, typelem AS type, modifier
    FROM given JOIN pg_catalog.pg_type AS t ON t.oid = type
    WHERE typinput = 'pg_catalog.array_in'::regproc
    UNION ALL
    SELECT number, typbasetype, typtypmod
    FROM element JOIN pg_catalog.pg_type AS t ON t.oid = type
    WHERE typtype = 'd'
)
SELECT pg_catalog.format_type(given.type, given.modifier), element.type, element.modifier
FROM given
LEFT JOIN (element JOIN pg_catalog.pg_type AS t ON t.oid = element.type AND typtype <> 'd') USING (number)
ORDER BY number
"""


@record(frozen=True, slots=True, kw_only=True)
class CopiedColumn:
    """`type` is PostgreSQL's, as it spells it; `scalar` DuckDB's, of the elements if it `is_array`."""

    name: str
    type: str
    scalar: str
    is_array: bool = False
    is_padded: bool = False
    """Text with blanks at its end, which a cast would drop."""

    @property
    def type_in_files(self) -> str:
        return f"{self.scalar}[]" if self.is_array else self.scalar

    @property
    def read_as(self) -> str:
        """The type that the field of the CSV is read as."""
        return TEXT if self.is_array or _converted(self.scalar, "") else self.scalar

    def on_the_server(self, name: str) -> str:
        """What the server sends for the column `name`; arrays as JSON of texts, because their own text is PostgreSQL's
        own."""
        if not self.is_array:
            return name
        return f"pg_catalog.to_json({name if self.is_padded else f'{name}::pg_catalog.text[]'})"

    def read_from(self, name: str) -> str:
        """DuckDB's expression of the value, from the field `name`."""
        if not self.is_array:
            return _converted(self.scalar, name) or name
        texts = f"CAST(CAST({name} AS JSON) AS VARCHAR[])"
        converted = _converted(self.scalar, "x")
        value = f"list_transform({texts}, lambda x: {converted})" if converted else f"CAST({texts} AS {self.scalar}[])"
        told = f"'column {self.name.replace(chr(39), chr(39) * 2)} holds an array of more than one dimension'"
        return f"CASE WHEN {name}[:2] = '[[' THEN error({told}) ELSE {value} END"


def _converted(scalar: str, name: str) -> str:
    """DuckDB's expression of the value from its text; empty where a cast does it."""
    match scalar:
        case "BLOB":
            return f"unhex({name}[3:])"
        case "INTERVAL":
            return f"CAST(replace({name}, '+', '') AS INTERVAL)"
        case "DATE" | "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE":
            # DuckDB writes (BC), and right behind the day.
            before_christ = f"regexp_replace({name}, '^([0-9-]+)(.*) BC$', '\\1 (BC)\\2')"
            return f"CAST(CASE WHEN suffix({name}, ' BC') THEN {before_christ} ELSE {name} END AS {scalar})"
    return ""


async def copied_columns(raw: Any, statement: Any) -> tuple[CopiedColumn, ...]:
    """Of a prepared statement of the connection `raw`; none if it gives no rows."""
    attributes = statement.get_attributes()
    types = [attribute.type.oid for attribute in attributes]
    modifiers = _modifiers(statement, types)
    described = await raw.fetch(_DESCRIBE, types, modifiers) if types else []
    columns = []
    for attribute, modifier, (name, element, of_element) in zip(attributes, modifiers, described, strict=True):
        type_ = attribute.type.oid if element is None else element
        columns.append(
            CopiedColumn(
                name=attribute.name,
                type=name,
                scalar=_scalar(type_, modifier if element is None else of_element),
                is_array=element is not None,
                is_padded=type_ == _PADDED,
            )
        )
    return tuple(columns)


def _scalar(type_: int, modifier: int) -> str:
    if type_ != _NUMERIC:
        return _SCALARS.get(type_, TEXT)
    precision, scale = (modifier - 4) >> 16, ((modifier - 4) & 0x7FF ^ 0x400) - 0x400
    if modifier < 0 or precision > _MAX_PRECISION or not 0 <= scale <= precision:
        return TEXT
    return f"DECIMAL({precision},{scale})"


def _modifiers(statement: Any, types: Sequence[int]) -> list[int]:
    """Precision, scale or length of each column as PostgreSQL encodes them, -1 without any.

    asyncpg is told them by the server and keeps them where only the garbage collector sees them. If they are not there,
    a numeric is text.
    """
    for found in gc.get_referents(statement._state):
        if isinstance(found, list) and all(map(_is_description, found)) and [each[3] for each in found] == list(types):
            return [description[5] for description in found]
    return [-1] * len(types)


def _is_description(found: object) -> bool:
    """Name, table, column, type, size, modifier, format."""
    return isinstance(found, tuple) and len(found) == 7 and isinstance(found[0], bytes)
