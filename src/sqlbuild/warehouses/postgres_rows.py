"""The columns of a batch as what goes to PostgreSQL: values that the driver can send, and SQL that casts the others."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlbuild.domain.record import record
from sqlbuild.errors import RowRefused, WarehouseError
from sqlbuild.interfaces.loading import RowBatch
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.warehouses.postgres_columns import TableColumn, column_names
from sqlbuild.warehouses.postgres_types import (
    DOUBLE,
    FLOATS,
    LARGE_INTEGER,
    TIMESTAMP,
    TIMESTAMP_TZ,
    WHOLE_NUMBERS,
    is_large,
    type_of,
)

_TEXTS = ("text", "character varying")
_JSON = ("json", "jsonb")
_SENDABLE: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(WHOLE_NUMBERS, (*WHOLE_NUMBERS, "numeric", *FLOATS)),
    **dict.fromkeys(FLOATS, FLOATS),
    **dict.fromkeys(_JSON, (*_JSON, *_TEXTS)),
    "numeric": ("numeric", *FLOATS),
    "text": (*_TEXTS, "bpchar", *_JSON),
    "date": ("date", TIMESTAMP),
}
"""Which columns the driver can fill with values of a type, without changing them."""
_ENDS = tuple(
    datetime.datetime.combine(day, time)
    for day, time in ((datetime.date.max, datetime.time.max), (datetime.date.min, datetime.time.min))
)
INFINITE: Mapping[str, Sequence[object]] = {
    "date": (datetime.date.max, datetime.date.min),
    TIMESTAMP: _ENDS,
    TIMESTAMP_TZ: tuple(end.replace(tzinfo=datetime.UTC) for end in _ENDS),
}
"""What asyncpg takes for infinity."""


@record(frozen=True, slots=True)
class Given:
    """Values of a column. `type` is that of a column that is made for them; in `sent_as` they are, if it is another."""

    type: str
    values: Sequence[Any]
    sent_as: str = ""

    @property
    def bare_type(self) -> str:
        return _without_size(self.type)


@record(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What is sent for the column `held`: values in `type`, and the SQL that makes the column's of them, if they are
    not sent right there; in it the value stands as `alias`."""

    held: TableColumn
    given: Given
    type: str
    values: Sequence[Any]
    alias: str
    cast: str = ""

    @property
    def value(self) -> str:
        return self.cast or self.alias


def given_columns(batch: RowBatch) -> dict[str, Given | None]:
    """By name of the column; None for one without values, whose type is not known. Of Python values."""
    names = column_names(batch.columns)
    return {
        names[name]: None if (type_ := type_of(column)) is None else Given(type_, column.values)
        for name, column in batch.columns.items()
    }


def with_large_numbers(given: Mapping[str, Given | None]) -> dict[str, Given | None] | None:
    """The same where whole numbers that are too large for bigint are numeric; None if there are none."""
    large = {
        name: Given(LARGE_INTEGER, column.values)
        for name, column in given.items()
        if column is not None and column.type == "bigint" and any(map(is_large, column.values))
    }
    return {**given, **large} if large else None


def outgoing(given: Given, held: TableColumn, alias: str, *, row_type: str, first_row: int) -> Outgoing:
    """`row_type` is that of the table, quoted. Raises WarehouseError for a number that is not whole."""
    bare = held.bare_type
    if not given.sent_as:
        if bare in WHOLE_NUMBERS and given.bare_type in (*FLOATS, "numeric"):
            whole = _whole_numbers(given.values, held, first_row)
            return Outgoing(held=held, given=given, type=held.type, values=whole, alias=alias)
        if bare in _SENDABLE.get(given.bare_type, (given.bare_type,)):
            if not _holds_infinite(given):
                return Outgoing(held=held, given=given, type=held.type, values=given.values, alias=alias)
            given = _as_texts(given)
    if given.bare_type in _JSON:
        name = held.name.replace("'", "''")
        record = f"jsonb_populate_record(NULL::{row_type}, jsonb_build_object('{name}', {alias}))"
        cast = f"({record}).{quote_identifier(held.name)}"
    else:
        cast = f"CAST({alias} AS {bare})"
    return Outgoing(
        held=held, given=given, type=given.sent_as or given.type, values=given.values, alias=alias, cast=cast
    )


def unsendable(columns: Sequence[Outgoing], first_row: int, error: Exception) -> WarehouseError:
    """What the driver could not send, by its column and row."""
    for column in columns:
        check = _CHECKS.get(_without_size(column.type))
        if check is None:
            continue
        for row, value in enumerate(column.values, first_row):
            try:
                if value is not None:
                    check(value)
            except UnicodeError:
                return RowRefused(
                    f"column {column.held.name} holds text with a lone surrogate",
                    row,
                    help="decode the text with its real encoding",
                )
            except (ValueError, OverflowError, struct.error):
                return uncastable(column, value, row)
    return WarehouseError(f"rows from {first_row:,} on cannot be sent to PostgreSQL: {error}")


def uncastable(column: Outgoing, value: object, row: int) -> RowRefused:
    text = str(value)
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    held = column.held
    return RowRefused(
        f"column {held.name}: {shown} ({column.given.type}) is no {held.type}, "
        f"{'the declared type' if held.declared else 'the type of the column'}",
        row,
        help="convert the values in the loader, or declare another type",
    )


def _whole_numbers(values: Sequence[Any], held: TableColumn, first_row: int) -> list[int | None]:
    whole: list[int | None] = []
    for row, value in enumerate(values, first_row):
        if value is None or type(value) is int:
            whole.append(value)
        elif (type(value) is float and value.is_integer()) or (
            isinstance(value, decimal.Decimal) and value == value.to_integral_value()
        ):
            whole.append(int(value))
        else:
            raise WarehouseError(
                f"column {held.name}: {value} is no whole number, the declared type is {held.type} (row {row:,})",
                help="round the values in the loader, or declare another type",
            )
    return whole


def _holds_infinite(given: Given) -> bool:
    ends = INFINITE.get(given.bare_type.removesuffix("[]"), ())
    if not given.type.endswith("[]"):
        return any(end in given.values for end in ends)
    return any(end in value for value in given.values if value is not None for end in ends)


def _as_texts(given: Given) -> Given:
    if not given.type.endswith("[]"):
        return dataclasses.replace(given, values=_texts(given.values), sent_as="text")
    texts = [None if value is None else _texts(value) for value in given.values]
    return dataclasses.replace(given, values=texts, sent_as="text[]")


def _texts(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else value.isoformat() for value in values]


def _without_size(type_: str) -> str:
    """`numeric(10,2)` as numeric, `timestamp(3) without time zone` as that without its digits."""
    before, bracket, after = type_.partition("(")
    return before + after.partition(")")[2] if bracket else type_


def _whole_number_of(bits: int) -> Callable[[int], object]:
    ends = range(-(2 ** (bits - 1)), 2 ** (bits - 1))

    def check(value: int) -> None:
        if value not in ends:
            raise OverflowError

    return check


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    **dict.fromkeys((*_TEXTS, *_JSON, "character"), str.encode),
    "smallint": _whole_number_of(16),
    "integer": _whole_number_of(32),
    "bigint": _whole_number_of(64),
    "real": struct.Struct("<f").pack,
    DOUBLE: float,
    TIMESTAMP_TZ: lambda value: value.astimezone(datetime.UTC),
}
"""By type: what fails for a value that the driver cannot send."""
