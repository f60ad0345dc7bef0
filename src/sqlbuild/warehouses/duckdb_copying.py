"""Files out of a warehouse of DuckDB."""

from __future__ import annotations

from typing import Any

from sqlbuild.interfaces.exporting import Copied, CopyOrder, CursorRange, ParquetRows
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.one_query import one_query
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.warehouses.duckdb_files import copied, copy_statement, query_of_parquet, quote_text


class DuckDBCopying:
    """`sqlbuild.interfaces.exporting.Copying`."""

    dialect = "duckdb"

    async def describe(self, connection: Connection, rows: str | ParquetRows) -> list[tuple[str, str]]:
        described = await self._rows(connection, f"DESCRIBE ({_query(rows)}\n)")
        return [(str(row[0]), str(row[1])) for row in described]

    async def highest(self, connection: Connection, sql: str, cursor: CursorRange) -> str | None:
        column = quote_identifier(cursor.column)
        rows = await self._rows(
            connection, f"SELECT CAST(max({column}) AS VARCHAR) FROM ({self.query_of(sql, cursor)}\n)"
        )
        highest: str | None = rows[0][0]
        return highest

    async def copy_to_file(self, connection: Connection, order: CopyOrder) -> Copied:
        query = self.query_of(order.rows, order.cursor) if isinstance(order.rows, str) else _query(order.rows)
        return copied(await self._rows(connection, copy_statement(query, order)), order)

    def query_of(self, sql: str, cursor: CursorRange | None) -> str:
        query = one_query(sql)
        if cursor is None:
            return query
        column = quote_identifier(cursor.column)
        conditions = [
            f"{column} {comparison} CAST({quote_text(value)} AS {cursor.type})"
            for comparison, value in ((">", cursor.after), ("<=", cursor.upto))
            if value is not None
        ]
        if not conditions:
            return query
        condition = " AND ".join(conditions)
        if cursor.after is None:
            condition = f"{condition} OR {column} IS NULL"
        return f"SELECT * FROM ({query}\n) WHERE {condition}"

    async def _rows(self, connection: Connection, sql: str) -> list[tuple[Any, ...]]:
        return await (await connection.query(sql)).fetch()


def _query(rows: str | ParquetRows) -> str:
    return query_of_parquet(rows) if isinstance(rows, ParquetRows) else one_query(rows)
