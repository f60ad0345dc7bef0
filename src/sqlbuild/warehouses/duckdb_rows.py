"""A batch of rows as something that DuckDB reads: Arrow data, or one JSON text where pyarrow is not installed."""

from __future__ import annotations

import decimal
import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlbuild.domain.record import record
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.loading import RowBatch, ValueColumn, ValueKind
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.warehouses.duckdb_types import LARGE_INTEGER, type_of

_BIGINT = range(-(2**63), 2**63)


@record(frozen=True, slots=True, kw_only=True)
class Encoded:
    """`types` are those of the columns that have values, None where DuckDB is to be asked; `values` is the SQL
    expression of each column that is not called as it is. `text` is the parameter of the JSON form."""

    types: Mapping[str, str] | None
    values: Mapping[str, str]
    arrow: Any = None
    text: str | None = None
    rows_sql: str = ""
    """What stands in the FROM clause, of the JSON form."""


def encode(batch: RowBatch, *, with_arrow: bool) -> Encoded:
    """Raises WarehouseError naming the column whose values cannot be handed over."""
    if batch.arrow is not None:
        return Encoded(types=None, values={}, arrow=batch.arrow)
    columns = {name: column for name, column in batch.columns.items() if column.kind is not None}
    if not columns:
        return Encoded(types={}, values={})
    return _as_arrow(columns) if with_arrow else _as_json(columns)


def _as_arrow(columns: Mapping[str, ValueColumn]) -> Encoded:
    arrow: Any = importlib.import_module("pyarrow")
    arrays: dict[str, Any] = {}
    types: dict[str, str] = {}
    for name, column in columns.items():
        types[name] = type_of(column) or ""
        try:
            arrays[name] = _array(arrow, column)
        except OverflowError:
            types[name] = LARGE_INTEGER
            arrays[name] = _large_integers(arrow, name, column)
        except (arrow.ArrowException, ValueError, TypeError) as error:
            raise _refused(name, error) from error
    return Encoded(types=types, values={}, arrow=arrow.table(arrays))


def _array(arrow: Any, column: ValueColumn) -> Any:
    values = column.values
    match column.kind:
        case ValueKind.BOOLEAN:
            type_ = arrow.bool_()
        case ValueKind.INTEGER:
            type_ = arrow.int64()
        case ValueKind.FLOAT:
            type_ = arrow.float64()
        case ValueKind.BYTES:
            type_ = arrow.binary()
        case ValueKind.DATE:
            type_ = arrow.date32()
        case ValueKind.TIME:
            type_ = arrow.time64("us")
        case ValueKind.TIMESTAMP:
            type_ = arrow.timestamp("us")
        case ValueKind.TIMESTAMP_TZ:
            type_ = arrow.timestamp("us", "UTC")
        case ValueKind.INTERVAL:
            type_ = arrow.duration("us")
        case ValueKind.DECIMAL:
            type_ = arrow.decimal128(38, column.scale)
        case ValueKind.UUID:
            type_, values = arrow.string(), [None if value is None else str(value) for value in values]
        case _:
            type_ = arrow.string()
    return arrow.array(values, type_)


def _large_integers(arrow: Any, name: str, column: ValueColumn) -> Any:
    try:
        return arrow.array(column.values, arrow.decimal128(38, 0))
    except (arrow.ArrowException, OverflowError, ValueError) as error:
        raise WarehouseError(
            f"column {name} holds a whole number of more than 38 digits", help="give it as text: str(value)"
        ) from error


def _refused(name: str, error: Exception) -> WarehouseError:
    if isinstance(error, UnicodeError):
        return WarehouseError(
            f"column {name} holds text with a lone surrogate", help="decode the text with its real encoding"
        )
    return WarehouseError(f"column {name}: {error}")


def _as_json(columns: Mapping[str, ValueColumn]) -> Encoded:
    keys = {name: f"c{index}" for index, name in enumerate(columns)}
    types: dict[str, str] = {}
    texts: list[list[str | None]] = []
    for name, column in columns.items():
        types[name] = _type_by_size(name, column)
        texts.append(_texts(name, column))
    rows = [dict(zip(keys.values(), row, strict=True)) for row in zip(*texts, strict=True)]
    structure = json.dumps([dict.fromkeys(keys.values(), "VARCHAR")])
    return Encoded(
        types=types,
        values={name: _cast(f"r.{quote_identifier(keys[name])}", types[name], columns[name].kind) for name in columns},
        text=json.dumps(rows, ensure_ascii=False, separators=(",", ":")),
        rows_sql=f"(SELECT unnest(from_json(?, '{structure}')) AS r)",
    )


def _type_by_size(name: str, column: ValueColumn) -> str:
    type_ = type_of(column) or ""
    if column.kind is not ValueKind.INTEGER or all(value is None or value in _BIGINT for value in column.values):
        return type_
    if any(value is not None and len(str(abs(value))) > 38 for value in column.values):
        raise WarehouseError(
            f"column {name} holds a whole number of more than 38 digits", help="give it as text: str(value)"
        )
    return LARGE_INTEGER


def _texts(name: str, column: ValueColumn) -> list[str | None]:
    write = _WRITERS.get(column.kind, str) if column.kind is not None else str
    texts = [None if value is None else write(value) for value in column.values]
    try:
        "".join(filter(None, texts)).encode()
    except UnicodeError as error:
        raise _refused(name, error) from error
    return texts


def _cast(value: str, type_: str, kind: ValueKind | None) -> str:
    match kind:
        case ValueKind.BYTES:
            return f"unhex({value})"
        case ValueKind.INTERVAL:
            return f"to_microseconds(CAST({value} AS BIGINT))"
        case _:
            return f"CAST({value} AS {type_})"


def _microseconds(value: Any) -> str:
    return str((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds)


def _decimal_text(value: Any) -> str:
    return format(decimal.Decimal(value), "f")


def _isoformat(value: Any) -> str:
    return str(value.isoformat())


_WRITERS: Mapping[ValueKind, Callable[[Any], str]] = {
    ValueKind.BOOLEAN: lambda value: "true" if value else "false",
    ValueKind.FLOAT: repr,
    ValueKind.DECIMAL: _decimal_text,
    ValueKind.BYTES: lambda value: value.hex(),
    ValueKind.DATE: _isoformat,
    ValueKind.TIME: _isoformat,
    ValueKind.TIMESTAMP: _isoformat,
    ValueKind.TIMESTAMP_TZ: _isoformat,
    ValueKind.INTERVAL: _microseconds,
}
