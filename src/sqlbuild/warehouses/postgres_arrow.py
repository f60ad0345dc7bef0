"""Arrow data as columns for PostgreSQL: each Arrow type has a type of PostgreSQL, nested ones are arrays or JSON."""

from __future__ import annotations

import base64
import datetime
import decimal
import importlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sqlbuild.errors import WarehouseError
from sqlbuild.warehouses.postgres_columns import column_names
from sqlbuild.warehouses.postgres_rows import Given
from sqlbuild.warehouses.postgres_types import DOUBLE, TIME, TIMESTAMP, TIMESTAMP_TZ

_UNSIGNED = {"uint8": "smallint", "uint16": "integer", "uint32": "bigint", "uint64": "numeric(20,0)"}
_SIMPLE = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    **_UNSIGNED,
    "float": "real",
    "halffloat": "real",
    "double": DOUBLE,
    "string": "text",
    "large_string": "text",
    "string_view": "text",
    "binary": "bytea",
    "large_binary": "bytea",
    "binary_view": "bytea",
    "date32[day]": "date",
    "date64[ms]": "date",
    "month_day_nano_interval": "interval",
}


def arrow_columns(batch: Any, first_row: int) -> dict[str, Given | None]:
    """By name of the column; None for one of Arrow's type null. Raises WarehouseError naming the column."""
    arrow: Any = importlib.import_module("pyarrow")
    names = column_names(batch.schema.names)
    return {
        names[field.name]: _given(arrow, field.name, batch.column(index), first_row)
        for index, field in enumerate(batch.schema)
    }


def _given(arrow: Any, name: str, array: Any, first_row: int) -> Given | None:
    array = _decoded(arrow, array)
    type_ = _type_of(arrow, array.type)
    if type_ is None:
        if arrow.types.is_null(array.type):
            return None
        raise WarehouseError(
            f"column {name}: there is no type of PostgreSQL for Arrow's {array.type}", help="cast it in the loader"
        )
    try:
        values = _read(arrow, array)
    except (arrow.ArrowException, ValueError, OverflowError) as error:
        raise _unreadable(arrow, name, array, first_row, error) from error
    if type_ == "jsonb":
        return Given(type_, _json(arrow, name, array.type, values, first_row))
    if type_ == "interval" and not arrow.types.is_duration(array.type):
        return Given(type_, [None if value is None else _interval(value) for value in values], sent_as="text")
    return Given(type_, values)


def _decoded(arrow: Any, array: Any) -> Any:
    """Without dictionaries, run ends and extension types, but for those that PostgreSQL has too."""
    while True:
        kind = array.type
        if arrow.types.is_dictionary(kind):
            array = array.dictionary_decode()
        elif arrow.types.is_run_end_encoded(kind):
            array = importlib.import_module("pyarrow.compute").run_end_decode(array)
        elif isinstance(kind, arrow.BaseExtensionType) and kind.extension_name not in ("arrow.uuid", "arrow.json"):
            array = array.storage
        else:
            return array


def _type_of(arrow: Any, kind: Any) -> str | None:
    types = arrow.types
    found = _SIMPLE.get(str(kind))
    if found is not None:
        return found
    if isinstance(kind, arrow.BaseExtensionType):
        return {"arrow.uuid": "uuid", "arrow.json": "jsonb"}.get(kind.extension_name)
    if types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})" if kind.scale >= 0 else "numeric"
    if types.is_timestamp(kind):
        return TIMESTAMP if kind.tz is None else TIMESTAMP_TZ
    if types.is_time(kind):
        return TIME
    if types.is_duration(kind):
        return "interval"
    if types.is_fixed_size_binary(kind):
        return "bytea"
    if _is_list(arrow, kind):
        element = _type_of(arrow, kind.value_type)
        # Arrays of arrays must all be of one length, intervals of months have no counterpart in Python.
        is_plain = element is not None and not element.endswith("[]") and element not in ("jsonb", "interval")
        return f"{element}[]" if is_plain else "jsonb"
    return "jsonb" if types.is_nested(kind) and not types.is_union(kind) else None


def _is_list(arrow: Any, kind: Any) -> bool:
    types = arrow.types
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    return any(test(kind) for test in tests)


def _read(arrow: Any, array: Any) -> list[Any]:
    """Python values; PostgreSQL and Python count time in microseconds, what is finer is cut off."""
    wanted = _in_microseconds(arrow, array.type)
    if wanted != array.type:
        compute = importlib.import_module("pyarrow.compute")
        array = array.cast(options=compute.CastOptions(wanted, allow_time_truncate=True))
    if isinstance(array.type, arrow.BaseExtensionType):
        values = array.storage.to_pylist()
        if array.type.extension_name == "arrow.uuid":
            return [None if value is None else uuid.UUID(bytes=value) for value in values]
        return list(values)
    return list(array.to_pylist())


def _in_microseconds(arrow: Any, kind: Any) -> Any:
    types = arrow.types
    if types.is_timestamp(kind):
        return arrow.timestamp("us", None if kind.tz is None else "UTC")
    if types.is_time64(kind):
        return arrow.time64("us")
    if types.is_duration(kind):
        return arrow.duration("us")
    if types.is_float16(kind):
        return arrow.float32()
    if types.is_list(kind):
        return arrow.list_(_in_microseconds(arrow, kind.value_type))
    if types.is_large_list(kind):
        return arrow.large_list(_in_microseconds(arrow, kind.value_type))
    return kind


def _unreadable(arrow: Any, name: str, array: Any, first_row: int, error: Exception) -> WarehouseError:
    for index in range(len(array)):
        try:
            _read(arrow, array.slice(index, 1))
        except (arrow.ArrowException, ValueError, OverflowError) as found:
            return WarehouseError(
                f"column {name}: {found} (row {first_row + index:,})", help="convert the values in the loader"
            )
    return WarehouseError(f"column {name}: {error}")


def _interval(value: Any) -> str:
    return f"{value.months} months {value.days} days {value.nanoseconds // 1000} microseconds"


def _json(arrow: Any, name: str, kind: Any, values: list[Any], first_row: int) -> list[str | None]:
    if isinstance(kind, arrow.BaseExtensionType):
        return values
    plain = _plain_values(arrow, kind)
    texts: list[str | None] = []
    for row, value in enumerate(values, first_row):
        try:
            texts.append(
                None
                if value is None
                else json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            )
        except ValueError:
            raise WarehouseError(
                f"column {name}: row {row:,} holds NaN or Infinity, which JSON has not",
                help="give None in their place, or a column of floats",
            ) from None
    return texts


def _plain_values(arrow: Any, kind: Any) -> Callable[[Any], Any]:
    """What makes JSON's values of those of an Arrow type."""
    types = arrow.types
    if types.is_struct(kind):
        fields: Mapping[str, Callable[[Any], Any]] = {field.name: _plain_values(arrow, field.type) for field in kind}
        return lambda value: None if value is None else {key: plain(value[key]) for key, plain in fields.items()}
    if types.is_map(kind):
        item = _plain_values(arrow, kind.item_type)
        return lambda value: None if value is None else {_text(key): item(each) for key, each in value}
    if types.is_nested(kind) and hasattr(kind, "value_type"):
        element = _plain_values(arrow, kind.value_type)
        return lambda value: None if value is None else [element(each) for each in value]
    return _plain


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return str(value)
