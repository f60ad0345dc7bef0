"""Columns of queries of PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.interfaces.comparing import QueryColumn
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.rendering import quote_identifier

_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "unknown"})
_COMPARED_AS = {
    "json": "jsonb",
    **dict.fromkeys(("xml", "point", "line", "lseg", "box", "path", "polygon", "circle"), "text"),
}
"""Types without an equality by which rows can be grouped."""


class PostgresComparing:
    """`sqlbuild.interfaces.comparing.Comparing`."""

    folds_names = False

    async def columns(self, connection: Connection, sql: str) -> tuple[QueryColumn, ...]:
        assert isinstance(connection, PostgresConnection)

        async def describe(raw: Any) -> tuple[QueryColumn, ...]:
            # A pooler keeps a prepared statement for a transaction only.
            async with raw.transaction():
                statement = await raw.prepare(sql)
                return tuple(_column(attribute) for attribute in statement.get_attributes())

        return await connection.run(describe, sql=sql)


def _column(attribute: Any) -> QueryColumn:
    name, is_array = attribute.type.name, attribute.type.kind == "array"
    element = name.removesuffix("[]") if is_array else name
    schema = "pg_catalog" if attribute.type.schema == "pg_catalog" else attribute.type.schema
    written = f"{quote_identifier(schema)}.{quote_identifier(element)}{'[]' if is_array else ''}"
    compared_as = _COMPARED_AS.get(element)
    return QueryColumn(
        name=attribute.name,
        type=written,
        is_text=name in _TEXTS,
        compared_as=f"{compared_as}{'[]' if is_array else ''}" if compared_as is not None else None,
    )
