from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import math
import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from sqlbuild.app.wording import counted
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import shown_path, write_document, write_error_text, write_lines, write_text
from sqlbuild.cli.target_options import LockTimeout, patience_of
from sqlbuild.cli.text_table import table_lines

SCHEMA_VERSION = 1
_FORMATS = ("table", "csv", "json")
_SUFFIXES = (".parquet", ".csv", ".json", ".jsonl")


def query(
    options: SharedOptions,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The query; model:x and source:x stand for relations.")],
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Print at most N rows (a file gets all rows).")] = 1000,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="WHERE",
            help="table, csv, json, or a file that ends in .parquet, .csv, .json or .jsonl.",
        ),
    ] = "table",
    lock_timeout: LockTimeout = 60.0,
) -> int:
    """Run a read-only query against the target."""
    path = _file_of(output)
    from sqlbuild.app import querying
    from sqlbuild.cli.open_project import open_project

    compiled = open_project(options)
    patience = patience_of(options, lock_timeout)
    if path is not None:
        rows = querying.query_to_file(compiled, sql, path, patience=patience)
        if options.json:
            write_document({"schema_version": SCHEMA_VERSION, "path": path, "rows": rows})
        elif not options.quiet:
            write_lines([f"wrote {counted(rows, 'row')} to {shown_path(path)}"])
        return 0
    result = querying.query(compiled, sql, limit=limit, patience=patience)
    if options.json:
        write_document(
            {
                "schema_version": SCHEMA_VERSION,
                "columns": list(result.columns),
                "rows": [[plain_value(value) for value in row] for row in result.rows],
                "truncated": result.truncated,
            }
        )
        return 0
    _print(output, result.columns, result.rows)
    if result.truncated:
        write_error_text(f"only the first {counted(len(result.rows), 'row')}; --limit N shows more\n")
    return 0


def plain_value(value: object) -> object:
    """A value of the warehouse as JSON has it: times as ISO 8601, decimals and others as text, NaN as null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): plain_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(entry) for entry in value]
    return _own_text(value)


def _own_text(value: object) -> str:
    """Of values that only a driver knows: a range and a string of bits as SQL writes them."""
    found: Any = value
    if hasattr(value, "lower_inc"):
        if found.isempty:
            return "empty"
        lower, upper = ("" if end is None else str(end) for end in (found.lower, found.upper))
        return f"{'[' if found.lower_inc else '('}{lower},{upper}{']' if found.upper_inc else ')'}"
    return str(found.as_string() if hasattr(value, "as_string") else value)


def _file_of(output: str) -> str | None:
    """The absolute path that `output` names, taken before the working directory changes; None for a format."""
    if output in _FORMATS:
        return None
    if not output.lower().endswith(_SUFFIXES):
        raise typer.BadParameter(
            f"--output takes {', '.join(_FORMATS)} or a file ending in {', '.join(_SUFFIXES)}, not {output!r}"
        )
    return os.path.abspath(output)


def _print(output: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if output == "json":
        names = _unique(columns)
        write_document([dict(zip(names, map(plain_value, row), strict=True)) for row in rows])
    elif output == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_csv_cell(value) for value in row] for row in rows)
        write_text(text.getvalue())
    else:
        numbers = frozenset(
            column
            for column in range(len(columns))
            if rows and all(row[column] is None or _is_number(row[column]) for row in rows)
        )
        cells = ([_table_cell(value) for value in row] for row in rows)
        write_lines([*table_lines(columns, cells, right=numbers), f"({counted(len(rows), 'row')})"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool)


def _table_cell(value: object) -> str:
    """As SQL writes it, so that nothing and an empty text look different."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(plain_value(value), ensure_ascii=False)
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return _own_text(value)


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(plain_value(value), ensure_ascii=False)
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return value if value is None else _own_text(value)


def _unique(columns: Sequence[str]) -> list[str]:
    """Column names as keys of an object: a second `n` becomes `n_2`."""
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names
