"""Arrow data in files, and the names of its types."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from io import RawIOBase
from typing import Any, Protocol

from sqlbuild.authoring.queries import import_pyarrow
from sqlbuild.domain.exports import ExportFormat
from sqlbuild.errors import ExportError

ROW_GROUP_ROWS = 122_880
ROW_GROUP_BYTES = 32_000_000
"""Rows are held until they make a row group of this size."""
ROWS_OF_A_VALUE = 4
"""With so many rows for each of its values, or more, a column gets a dictionary in a Parquet file."""

_NAMES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "halffloat": "FLOAT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "string_view": "VARCHAR",
    "binary": "BLOB",
    "large_binary": "BLOB",
    "binary_view": "BLOB",
    "date32[day]": "DATE",
    "date64[ms]": "DATE",
    "time32[s]": "TIME",
    "time32[ms]": "TIME",
    "time64[us]": "TIME",
    "time64[ns]": "TIME_NS",
    "timestamp[s]": "TIMESTAMP_S",
    "timestamp[ms]": "TIMESTAMP_MS",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
    "month_day_nano_interval": "INTERVAL",
    "extension<arrow.uuid>": "UUID",
    "extension<arrow.json>": "JSON",
    "null": '"NULL"',
}


class BatchWriter(Protocol):
    """Writes record batches into a binary file. Blocks; errors are ExportError."""

    def write(self, batch: Any) -> None: ...

    def close(self) -> None:
        """Write what is held and the end of the file, which stays open."""


def make_batch_writer(format: ExportFormat, file: RawIOBase, schema: Any) -> BatchWriter:
    """For Parquet and Arrow files."""
    arrow = import_pyarrow()
    with translated(arrow):
        return _ArrowFile(arrow, file, schema) if format is ExportFormat.ARROW else _ParquetFile(arrow, file, schema)


@contextlib.contextmanager
def translated(arrow: Any) -> Iterator[None]:
    """Turn what pyarrow says of data that a format cannot hold into ExportError."""
    try:
        yield
    except arrow.ArrowException as error:
        raise ExportError(f"pyarrow cannot write this: {error}") from error


class _ParquetFile:
    def __init__(self, arrow: Any, file: RawIOBase, schema: Any) -> None:
        self._arrow = arrow
        self._file = file
        self._schema = schema
        self._writer: Any = None
        self._held: list[Any] = []
        self._rows = 0
        self._bytes = 0

    def write(self, batch: Any) -> None:
        self._held.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._write_held()

    def _write_held(self) -> None:
        with translated(self._arrow):
            table = self._arrow.Table.from_batches(self._held, schema=self._schema)
            if self._writer is None:
                # A module of its own, which takes a moment to import; only who writes such a file needs it.
                import pyarrow.parquet

                self._writer = pyarrow.parquet.ParquetWriter(
                    self._file, self._schema, use_dictionary=_repeating(self._arrow, table)
                )
            if self._rows:
                self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._held, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        if self._rows or self._writer is None:
            self._write_held()
        with translated(self._arrow):
            self._writer.close()


def _repeating(arrow: Any, table: Any) -> list[str] | bool:
    """The columns whose values are worth a dictionary in a Parquet file, told by the first rows; True for all of them.

    pyarrow makes one for each column, which takes most of the time where values are rarely the same, and room in the file.
    """
    # Only a column that is not nested can be named without knowing how Parquet lays it out.
    if any(arrow.types.is_nested(each) for each in table.schema.types):
        return True
    return [name for name in table.column_names if _repeats(arrow, table[name])]


def _repeats(arrow: Any, column: Any) -> bool:
    import pyarrow.compute

    try:
        return bool(pyarrow.compute.count_distinct(column).as_py() * ROWS_OF_A_VALUE <= len(column))
    except arrow.ArrowNotImplementedError:
        return True  # a dictionary already, or nothing but nulls


class _ArrowFile:
    def __init__(self, arrow: Any, file: RawIOBase, schema: Any) -> None:
        self._arrow = arrow
        self._writer = arrow.ipc.new_file(file, schema)

    def write(self, batch: Any) -> None:
        with translated(self._arrow):
            self._writer.write_batch(batch)

    def close(self) -> None:
        with translated(self._arrow):
            self._writer.close()


def columns_of(schema: Any) -> list[tuple[str, str]]:
    """Names and types of an Arrow schema, the types as the warehouse spells them."""
    return [(field.name, type_name(field.type)) for field in schema]


def type_name(type_: Any) -> str:
    text = str(type_)
    name = _NAMES.get(text)
    if name is not None:
        return name
    arrow = import_pyarrow()
    for applies, named in _nested(arrow).items():
        if applies(type_):
            return named(type_)
    return text.upper()


def _nested(arrow: Any) -> Mapping[Callable[[Any], bool], Callable[[Any], str]]:
    types = arrow.types
    return {
        types.is_timestamp: lambda _: "TIMESTAMP WITH TIME ZONE",  # those without a zone have a name already
        types.is_duration: lambda _: "INTERVAL",
        types.is_decimal: lambda type_: f"DECIMAL({type_.precision},{type_.scale})",
        types.is_fixed_size_binary: lambda _: "BLOB",
        types.is_dictionary: lambda type_: type_name(type_.value_type),
        types.is_map: lambda type_: f"MAP({type_name(type_.key_type)}, {type_name(type_.item_type)})",
        types.is_struct: lambda type_: f"STRUCT({', '.join(_field(field) for field in type_)})",
        types.is_fixed_size_list: lambda type_: f"{type_name(type_.value_type)}[{type_.list_size}]",
        types.is_list: lambda type_: f"{type_name(type_.value_type)}[]",
        types.is_large_list: lambda type_: f"{type_name(type_.value_type)}[]",
    }


def _field(field: Any) -> str:
    quoted = '"' + field.name.replace('"', '""') + '"'
    return f"{field.name if field.name.isidentifier() else quoted} {type_name(field.type)}"
