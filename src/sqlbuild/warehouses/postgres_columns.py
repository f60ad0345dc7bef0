"""Columns of PostgreSQL tables, and how their names are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import WarehouseError

MAX_NAME_BYTES = 63
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1)
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_KIND = """
SELECT c.relkind::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_NEEDS_NO_QUOTES = pattern(r"[^\W\d][\w$]*")
_CAPITALS = pattern("[A-Z]+")


@record(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """`type` and `bare_type`, the same without a length or precision, are as `format_type` spells them."""

    name: str
    type: str
    bare_type: str
    declared: bool = False
    """Whether the author has written the type."""


async def kind_of(raw: Any, relation: Relation) -> str | None:
    """`pg_class.relkind` of a table or view of whatever kind; None if there is none."""
    kind: str | None = await raw.fetchval(_KIND, relation.schema, relation.name)
    return kind


async def columns_of(raw: Any, relation: Relation) -> dict[str, TableColumn]:
    """By lower-cased name; none if there is no such table or view. WarehouseError for names that differ only in case."""
    columns: dict[str, TableColumn] = {}
    for name, type_, bare in await raw.fetch(_COLUMNS, relation.schema, relation.name):
        other = columns.setdefault(name.lower(), TableColumn(name=name, type=type_, bare_type=bare))
        if other.name != name:
            raise WarehouseError(
                f"{relation} has the columns {other.name} and {name}, which differ only in upper and lower case",
                help="rename one of them",
            )
    return columns


def column_names(names: Iterable[str]) -> dict[str, str]:
    """Given names -> those of columns. What needs no quotes in SQL is folded to lower case, as PostgreSQL does there:
    `Price` can then be read as price and as Price.

    Raises WarehouseError for names that PostgreSQL would cut off, and for two that are the same but for their case.
    """
    folded: dict[str, str] = {}
    seen: set[str] = set()
    for name in names:
        size = len(name.encode())
        if not name or size > MAX_NAME_BYTES:
            what = f"{size} bytes, and PostgreSQL keeps {MAX_NAME_BYTES} of them" if name else "no characters"
            raise WarehouseError(f"the name of the column {name} has {what}", help="rename the column")
        if name.lower() in seen:
            raise WarehouseError(
                f"there are two columns called {name.lower()}", help="rename one; case does not matter"
            )
        seen.add(name.lower())
        folded[name] = column_name(name)
    return folded


def column_name(name: str) -> str:
    if _NEEDS_NO_QUOTES.fullmatch(name) is None:
        return name
    return _CAPITALS.sub(lambda found: found[0].lower(), name)
