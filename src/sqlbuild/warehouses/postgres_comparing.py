"""Queries of unit tests on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.interfaces.comparing import CopiedFunction, QueryColumn
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.warehouses.postgres_functions import function_definition

_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "unknown"})
_COMPARED_AS = {
    "json": "jsonb",
    **dict.fromkeys(("xml", "point", "line", "lseg", "box", "path", "polygon", "circle"), "text"),
}
"""Types without an equality by which rows can be grouped."""


class PostgresComparing:
    """`sqlbuild.interfaces.comparing.Comparing`. Copies of functions are temporary ones in a transaction that is taken back."""

    folds_names = False

    async def columns(
        self, connection: Connection, sql: str, functions: Sequence[CopiedFunction] = ()
    ) -> tuple[QueryColumn, ...]:
        async def describe(raw: Any) -> tuple[QueryColumn, ...]:
            # A pooler keeps a prepared statement for a transaction only.
            async with _with_functions(raw, functions):
                return tuple(_column(attribute) for attribute in (await raw.prepare(sql)).get_attributes())

        assert isinstance(connection, PostgresConnection)
        return await connection.run(describe, sql=sql)

    async def rows(
        self, connection: Connection, sql: str, functions: Sequence[CopiedFunction] = ()
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        async def read(raw: Any) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
            async with _with_functions(raw, functions):
                statement = await raw.prepare(sql)
                names = tuple(attribute.name for attribute in statement.get_attributes())
                return names, [tuple(record) for record in await statement.fetch()]

        assert isinstance(connection, PostgresConnection)
        return await connection.run(read, sql=sql)


@contextlib.asynccontextmanager
async def _with_functions(raw: Any, functions: Sequence[CopiedFunction]) -> AsyncIterator[None]:
    """A transaction in which the functions are there, and after which nothing is left."""
    transaction = raw.transaction()
    await transaction.start()
    try:
        if functions:
            # Where only is read, temporary functions are all that may be made.
            await raw.execute("SET TRANSACTION READ WRITE")
            for copy in functions:
                create = f"CREATE FUNCTION {function_definition(copy.relation, copy.function, copy.sql)}"
                with translated(copy.sql, create):
                    await raw.execute(create)
            await raw.execute("SET TRANSACTION READ ONLY")
        yield
    finally:
        await transaction.rollback()


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
