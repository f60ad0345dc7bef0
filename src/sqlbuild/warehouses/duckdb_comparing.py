"""Columns of queries of DuckDB."""

from __future__ import annotations

from sqlbuild.interfaces.comparing import QueryColumn
from sqlbuild.interfaces.warehouse import Connection, Extent


class DuckDBComparing:
    """`sqlbuild.interfaces.comparing.Comparing`."""

    folds_names = True

    async def columns(self, connection: Connection, sql: str) -> tuple[QueryColumn, ...]:
        result = await connection.query(f"DESCRIBE {sql}", extent=Extent.WHOLE)
        try:
            rows = await result.fetch()
        finally:
            await result.close()
        return tuple(
            QueryColumn(name=str(name), type=str(type_), is_text=str(type_) == "VARCHAR") for name, type_, *_ in rows
        )
