"""Files out of PostgreSQL: its COPY is read by a DuckDB in memory, which writes the files as it does for its own."""

from __future__ import annotations

import functools
import os
import shutil
from typing import Any

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_copied_types import copied_columns
from sqlbuild.drivers.postgres_server_copy import SETTINGS, DuckDBOrder, QueryText
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.exporting import Copied, CopyOrder, CursorRange, ParquetRows
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.one_query import first_word, one_query
from sqlbuild.sql.placeholders import with_literals
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.warehouses.duckdb_files import copied, copy_statement, query_of_parquet

QUERY_TEXT = QueryText(
    one_query=functools.partial(one_query, asker="an Arrow result"), first_word=first_word, with_literals=with_literals
)


class PostgresCopying:
    """`sqlbuild.interfaces.exporting.Copying`."""

    dialect = "postgres"

    async def describe(self, connection: Connection, rows: str | ParquetRows) -> list[tuple[str, str]]:
        if isinstance(rows, ParquetRows):
            described = await _postgres(connection).query_duckdb(f"DESCRIBE ({query_of_parquet(rows)})")
            return [(str(row[0]), str(row[1])) for row in described]
        query = one_query(rows)

        async def describe(raw: Any) -> list[tuple[str, str]]:
            async with raw.transaction():
                columns = await copied_columns(raw, await raw.prepare(query))
            if not columns:
                raise WarehouseError("the statement gives no columns", help="give one SELECT statement", sql=rows)
            return [(column.name, column.type) for column in columns]

        return await _postgres(connection).run(describe, sql=query)

    async def highest(self, connection: Connection, sql: str, cursor: CursorRange) -> str | None:
        column = quote_identifier(cursor.column)
        # Not every type that has an order has max().
        statement = (
            f"SELECT CAST({column} AS text) FROM ({self.query_of(sql, cursor)}\n) AS q "
            f"WHERE {column} IS NOT NULL ORDER BY q.{column} DESC LIMIT 1"
        )

        async def find(raw: Any) -> str | None:
            async with raw.transaction():
                await raw.execute(SETTINGS)
                highest: str | None = await raw.fetchval(statement)
                return highest

        return await _postgres(connection).run(find, sql=statement)

    async def copy_to_file(self, connection: Connection, order: CopyOrder) -> Copied:
        postgres = _postgres(connection)
        if isinstance(order.rows, ParquetRows):
            return copied(await postgres.query_duckdb(copy_statement(query_of_parquet(order.rows), order)), order)

        def command(query: str) -> str:
            if order.partition_by and os.path.isdir(order.path):
                shutil.rmtree(order.path)  # of an attempt before
                os.mkdir(order.path)
            return copy_statement(query, order)

        # Parquet has neither microseconds nor a sign for them.
        as_text = ("INTERVAL",) if order.format is ExportFormat.PARQUET else ()
        through = DuckDBOrder(sql=self.query_of(order.rows, order.cursor), command=command, as_text=as_text)
        rows, sent = await postgres.copy_through_duckdb(through)
        written = copied(rows, order)
        if written.rows != sent:
            raise WarehouseError(f"PostgreSQL sent {sent} rows, and {written.rows} were written", sql=order.rows)
        return written

    def query_of(self, sql: str, cursor: CursorRange | None) -> str:
        query = one_query(sql)
        if cursor is None:
            return query
        column = quote_identifier(cursor.column)
        conditions = [
            f"{column} {comparison} CAST({_literal(value)} AS {cursor.type})"
            for comparison, value in ((">", cursor.after), ("<=", cursor.upto))
            if value is not None
        ]
        if not conditions:
            return query
        condition = " AND ".join(conditions)
        if cursor.after is None:
            condition = f"{condition} OR {column} IS NULL"
        return f"SELECT * FROM ({query}\n) AS q WHERE {condition}"


def _literal(text: str) -> str:
    """Whatever the server takes backslashes in plain strings for."""
    quoted = text.replace("'", "''")
    return f"E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


def _postgres(connection: Connection) -> PostgresConnection:
    assert isinstance(connection, PostgresConnection)
    return connection
