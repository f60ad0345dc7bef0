"""DuckDB writes files by itself, with COPY."""

from __future__ import annotations

import re
from typing import Any

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.exporting import Copied, CopyOrder, CursorRange
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.sql.tokens import UnclosedText, tokens

# Without USE_TMP_FILE the rows go into the very file that is named: a temporary one of ours.
_OPTIONS = {
    ExportFormat.PARQUET: "FORMAT parquet",
    ExportFormat.CSV: "FORMAT csv, HEADER true",
    ExportFormat.CSV_GZ: "FORMAT csv, HEADER true, COMPRESSION gzip",
    ExportFormat.JSON: "FORMAT json, ARRAY true",
    ExportFormat.JSONL: "FORMAT json, ARRAY false",
}
_PATTERN = re.compile(r"[*?\[]")
_SUFFIXES = {ExportFormat.CSV_GZ: "csv.gz", ExportFormat.JSONL: "jsonl"}


class DuckDBCopying:
    """`sqlbuild.interfaces.exporting.Copying`."""

    # Queries start on the line on which the bracket stands, so that the lines in DuckDB's messages are their own.

    async def describe(self, connection: Connection, sql: str) -> list[tuple[str, str]]:
        rows = await self._rows(connection, f"DESCRIBE ({one_query(sql)}\n)")
        return [(str(row[0]), str(row[1])) for row in rows]

    async def highest(self, connection: Connection, sql: str, cursor: CursorRange) -> str | None:
        column = quote_identifier(cursor.column)
        rows = await self._rows(
            connection, f"SELECT CAST(max({column}) AS VARCHAR) FROM ({self.query_of(sql, cursor)}\n)"
        )
        highest: str | None = rows[0][0]
        return highest

    async def copy_to_file(self, connection: Connection, order: CopyOrder) -> Copied:
        options = [_OPTIONS[order.format]]
        tells_files = bool(order.partition_by) and order.format is ExportFormat.PARQUET
        if order.partition_by:
            suffix = _SUFFIXES.get(order.format, str(order.format))
            options += [
                f"PARTITION_BY ({', '.join(map(quote_identifier, order.partition_by))})",
                "FILENAME_PATTERN 'part-{i}'",
                f"FILE_EXTENSION {_quote(suffix)}",
                "OVERWRITE_OR_IGNORE true",
            ]
        else:
            options.append("USE_TMP_FILE false")
        if tells_files:
            options.append("RETURN_STATS true")
        query = self.query_of(order.sql, order.cursor)
        rows = await self._rows(connection, f"COPY ({query}\n) TO {_quote(order.path)} ({', '.join(options)})")
        if tells_files:
            counts = {str(row[0]): int(row[1]) for row in rows}
            return Copied(rows=sum(counts.values()), rows_of_files=counts)
        return Copied(rows=int(rows[0][0]))

    def query_of(self, sql: str, cursor: CursorRange | None) -> str:
        query = one_query(sql)
        if cursor is None:
            return query
        column = quote_identifier(cursor.column)
        conditions = [
            f"{column} {comparison} CAST({_quote(value)} AS {cursor.type})"
            for comparison, value in ((">", cursor.after), ("<=", cursor.upto))
            if value is not None
        ]
        if not conditions:
            return query
        condition = " AND ".join(conditions)
        if cursor.after is None:
            condition = f"{condition} OR {column} IS NULL"
        return f"SELECT * FROM ({query}\n) WHERE {condition}"

    def query_of_parquet(self, path: str) -> str:
        exactly = _PATTERN.sub(r"[\g<0>]", path)
        return f"SELECT * FROM read_parquet({_quote(exactly)}, hive_partitioning = false)"

    async def _rows(self, connection: Connection, sql: str) -> list[tuple[Any, ...]]:
        return await (await connection.query(sql)).fetch()


def one_query(sql: str) -> str:
    """`sql` without the semicolons at its end. Raises WarehouseError for text that could not stand in brackets."""
    try:
        found = list(tokens(sql))
    except UnclosedText:
        return sql  # DuckDB says what is wrong with it
    end = len(sql)
    while found and found[-1].text == ";":
        end = found.pop().start
    if not found:
        raise WarehouseError("there is no SQL to export", sql=sql)
    depth = 0
    for token in found:
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0 or token.text == ";":
            raise WarehouseError(
                "an export takes one query, not several statements", help="give one SELECT statement", sql=sql
            )
    return sql[:end]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
