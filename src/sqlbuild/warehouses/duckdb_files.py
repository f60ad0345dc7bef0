"""DuckDB writes files by itself, with COPY; beside another warehouse too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.pattern import pattern
from sqlbuild.interfaces.exporting import Copied, CopyOrder, ParquetRows
from sqlbuild.sql.rendering import quote_identifier

# Without USE_TMP_FILE the rows go into the very file that is named: a temporary one of ours.
_OPTIONS = {
    ExportFormat.PARQUET: "FORMAT parquet",
    ExportFormat.CSV: "FORMAT csv, HEADER true",
    ExportFormat.CSV_GZ: "FORMAT csv, HEADER true, COMPRESSION gzip",
    ExportFormat.JSON: "FORMAT json, ARRAY true",
    ExportFormat.JSONL: "FORMAT json, ARRAY false",
}
_PATTERN = pattern(r"[*?\[]")
_SUFFIXES = {ExportFormat.CSV_GZ: "csv.gz", ExportFormat.JSONL: "jsonl"}


def copy_statement(query: str, order: CopyOrder) -> str:
    """For the rows of DuckDB's `query`, which stands in brackets; see `copied` for what it gives."""
    options = [_OPTIONS[order.format]]
    if order.partition_by:
        suffix = _SUFFIXES.get(order.format, str(order.format))
        options += [
            f"PARTITION_BY ({', '.join(map(quote_identifier, order.partition_by))})",
            "FILENAME_PATTERN 'part-{i}'",
            f"FILE_EXTENSION {quote_text(suffix)}",
            "OVERWRITE_OR_IGNORE true",
        ]
    else:
        options.append("USE_TMP_FILE false")
    if _tells_files(order):
        options.append("RETURN_STATS true")
    # Queries start on the line on which the bracket stands, so that the lines in DuckDB's messages are their own.
    return f"COPY ({query}\n) TO {quote_text(order.path)} ({', '.join(options)})"


def copied(rows: Sequence[tuple[Any, ...]], order: CopyOrder) -> Copied:
    """What the rows of `copy_statement` tell."""
    if not _tells_files(order):
        return Copied(rows=int(rows[0][0]))
    counts = {str(row[0]): int(row[1]) for row in rows}
    return Copied(rows=sum(counts.values()), rows_of_files=counts)


def query_of_parquet(rows: ParquetRows) -> str:
    exactly = _PATTERN.sub(r"[\g<0>]", rows.path)
    return f"SELECT * FROM read_parquet({quote_text(exactly)}, hive_partitioning = false)"


def quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _tells_files(order: CopyOrder) -> bool:
    return bool(order.partition_by) and order.format is ExportFormat.PARQUET
