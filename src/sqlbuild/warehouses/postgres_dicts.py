"""Dicts that are sent as they came: rows that are like those before need not become columns first, which takes as long
as sending them. What is not quite like them goes the long way, which knows what to do or what to say."""

from __future__ import annotations

import datetime
import operator
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlbuild.domain.record import record
from sqlbuild.interfaces.loading import RowBatch, ValueKind
from sqlbuild.warehouses.postgres_columns import TableColumn, column_name
from sqlbuild.warehouses.postgres_rows import INFINITE
from sqlbuild.warehouses.postgres_types import FLOATS, TIME, TIMESTAMP, TIMESTAMP_TZ, WHOLE_NUMBERS

_BLOCK = 1_000
"""Rows that are looked at and then sent, while they are in the processor's cache."""
_NONE = type(None)


@record(frozen=True, slots=True)
class _Plain:
    """Values of a kind that a column takes as they are. `types` have to be checked where the driver is not strict."""

    kind: ValueKind
    types: frozenset[type] = frozenset()


_PLAIN: Mapping[str, _Plain] = {
    **dict.fromkeys(WHOLE_NUMBERS, _Plain(ValueKind.INTEGER, frozenset({int}))),
    **dict.fromkeys(FLOATS, _Plain(ValueKind.FLOAT, frozenset({float, int}))),
    "boolean": _Plain(ValueKind.BOOLEAN),
    "bytea": _Plain(ValueKind.BYTES, frozenset({bytes})),
    "character varying": _Plain(ValueKind.TEXT),
    "date": _Plain(ValueKind.DATE, frozenset({datetime.date})),
    "interval": _Plain(ValueKind.INTERVAL, frozenset({datetime.timedelta})),
    "text": _Plain(ValueKind.TEXT),
    TIME: _Plain(ValueKind.TIME, frozenset({datetime.time})),
    TIMESTAMP: _Plain(ValueKind.TIMESTAMP, frozenset({datetime.datetime})),
    TIMESTAMP_TZ: _Plain(ValueKind.TIMESTAMP_TZ, frozenset({datetime.datetime})),
    "uuid": _Plain(ValueKind.UUID, frozenset({uuid.UUID})),
}
_ZONE = operator.attrgetter("tzinfo")


class UnlikeRowsError(TypeError):
    """A row is not like those before."""


class RowShape:
    """What dicts have to be like to be sent as they are: their keys, and the columns that those are for."""

    def __init__(self, columns: Mapping[str, TableColumn]) -> None:
        self._columns = columns
        self.names = [column.name for column in columns.values()]
        self._row = operator.itemgetter(*columns)

    def rows(self, dicts: Sequence[Mapping[str, Any]]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Rows in blocks, each checked when it is asked for. Raises UnlikeRowsError, KeyError."""
        for start in range(0, len(dicts), _BLOCK):
            block = dicts[start : start + _BLOCK]
            if set(map(len, block)) != {len(self._columns)}:
                raise UnlikeRowsError
            for key, column in self._columns.items():
                plain = _PLAIN[column.bare_type]
                if plain.types:
                    _check([row[key] for row in block], column.bare_type, plain)
            rows: Iterator[Any] = map(self._row, block)
            yield rows if len(self._columns) > 1 else zip(rows)


def shape_of(batch: RowBatch, table: Mapping[str, TableColumn]) -> RowShape | None:
    """That of rows which went into the columns of `table`, by lower-cased name; None if such cannot be sent as they are."""
    columns: dict[str, TableColumn] = {}
    for name, given in batch.columns.items():
        held = table.get(column_name(name).lower())
        plain = None if held is None else _PLAIN.get(held.bare_type)
        if held is None or plain is None or given.kind not in (None, plain.kind):
            return None
        columns[name] = held
    return RowShape(columns) if batch.dicts and columns else None


def _check(values: list[Any], type_: str, plain: _Plain) -> None:
    first = type(values[0])
    if first not in plain.types or operator.countOf(map(type, values), first) != len(values):
        if not {_NONE, *plain.types}.issuperset(map(type, values)):
            raise UnlikeRowsError
        values = [value for value in values if value is not None]
    if any(end in values for end in INFINITE.get(type_, ())):
        raise UnlikeRowsError
    if type_ == TIMESTAMP_TZ and None in map(_ZONE, values):
        raise UnlikeRowsError
