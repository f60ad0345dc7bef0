"""What a loader returns or yields becomes batches of bounded size, column by column."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlbuild.authoring.columnar import is_columnar, record_batches
from sqlbuild.errors import NodeError
from sqlbuild.interfaces.loading import RowBatch, ValueColumn
from sqlbuild.runner.value_columns import value_column

MAX_ROWS = 100_000
FIRST_ROWS = 1_000
TARGET_BYTES = 16_000_000
"""Of the values of a batch, as far as a few of its rows tell."""
_SAMPLE = 64
_DATAFRAMES = ("pandas", "polars", "pyarrow", "duckdb")


class RowBatches:
    """Collects rows in `pending` until they are worth a batch; whoever appends there looks at `limit`.

    The first batch is small; after it as many rows are taken as make about `TARGET_BYTES`, at most `most`.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most or MAX_ROWS
        self.pending: list[Any] = []
        self.limit = min(FIRST_ROWS, self._most)
        self.rows = 0
        """In the batches so far."""

    def take(self, item: object) -> Iterator[RowBatch]:
        """The batches that are full with one thing that a loader gave: a row, a list of rows, or something columnar."""
        if isinstance(item, Mapping):
            self.pending.append(dict(item))
            if len(self.pending) >= self.limit:
                yield self.cut()
        elif is_columnar(item):
            yield from self.flush()
            for part in record_batches(item):
                yield self._of_arrow(part)
        elif isinstance(item, list | tuple):
            taken = 0
            while taken < len(item):
                part = item[taken : taken + self.limit - len(self.pending)]
                taken += len(part)
                if not are_dicts(part):
                    first = self.rows + len(self.pending) + 1
                    part = [row if type(row) is dict else _as_row(row, at) for at, row in enumerate(part, first)]
                self.pending += part
                if len(self.pending) >= self.limit:
                    yield self.cut()
        else:
            raise _no_row(item, self.rows + len(self.pending) + 1)

    def flush(self) -> Iterator[RowBatch]:
        """The rows that are still pending."""
        if self.pending:
            yield self.cut()

    def rest(self) -> list[RowBatch]:
        return list(self.flush())

    def cut(self) -> RowBatch:
        """A batch of all pending rows, which must be dicts."""
        rows = self.pending[:]
        self.pending.clear()
        batch = batch_of_rows(rows, self.rows + 1)
        self.rows += len(rows)
        wanted = TARGET_BYTES * len(rows) // max(1, _size(rows))
        self.limit = max(1, min(self._most, wanted, 10 * self.limit))
        return batch

    def _of_arrow(self, part: Any) -> RowBatch:
        batch = RowBatch(rows=part.num_rows, first_row=self.rows + 1, arrow=part)
        self.rows += part.num_rows
        return batch


def are_dicts(rows: Sequence[object]) -> bool:
    """Whether all are plain dicts."""
    return operator.countOf(map(type, rows), dict) == len(rows)


def batch_of_rows(rows: list[dict[str, Any]], first: int) -> RowBatch:
    """`first` is the number of the first row, for messages."""
    return RowBatch(rows=len(rows), first_row=first, columns=_ColumnsOfRows(rows, first), dicts=rows)


class _ColumnsOfRows(Mapping[str, ValueColumn]):
    """Made when they are first looked at: by the warehouse, on the thread where it does so."""

    __slots__ = ("_columns", "_first", "_rows")

    def __init__(self, rows: list[dict[str, Any]], first: int) -> None:
        self._rows = rows
        self._first = first
        self._columns: dict[str, ValueColumn] | None = None

    def _made(self) -> dict[str, ValueColumn]:
        if self._columns is None:
            self._columns = columns_of_rows(self._rows, self._first)
        return self._columns

    def __getitem__(self, name: str) -> ValueColumn:
        return self._made()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


def columns_of_rows(rows: list[dict[str, Any]], first: int) -> dict[str, ValueColumn]:
    """A key that a row lacks is None in it. Raises NodeError for what no column can hold."""
    names = list(rows[0])
    columns = _columns_of_like_rows(rows, names)
    if columns is None:
        _check_empty(rows, first)
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = [[row.get(name) for row in rows] for name in names]
    _check_names(names, rows, first)
    return {name: value_column(name, values, first) for name, values in zip(names, columns, strict=True)}


def _columns_of_like_rows(rows: list[dict[str, Any]], names: list[str]) -> list[list[Any]] | None:
    """Without a look at every key of every row; None if they are not all the same, or there are none."""
    # A row with as many keys as the first one and none of those missing has the same.
    if not names or set(map(len, rows)) != {len(names)}:
        return None
    try:
        return [[row[name] for row in rows] for name in names]
    except KeyError:
        return None


def _check_names(names: list[Any], rows: list[dict[str, Any]], first: int) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not name:
            number = first + next(index for index, row in enumerate(rows) if name in row)
            raise NodeError(f"row {number} has the key {name!r}, which is no column name", help="use texts as keys")
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise NodeError(
                f"the columns {other} and {name} differ only in upper and lower case", help="rename one of them"
            )


def _check_empty(rows: list[dict[str, Any]], first: int) -> None:
    if not all(rows):
        number = first + next(index for index, row in enumerate(rows) if not row)
        raise NodeError(f"row {number} is an empty dict", help="leave such rows out")


def _as_row(row: object, number: int) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return dict(row)
    raise _no_row(row, number)


def _no_row(item: object, number: int) -> NodeError:
    name = type(item).__name__
    advice = "give dicts, lists of dicts, Arrow tables or dataframes"
    if hasattr(item, "model_dump"):
        advice = "write row.model_dump() for each row"
    elif hasattr(item, "__dataclass_fields__"):
        advice = "write dataclasses.asdict(row) for each row"
    elif item is None:
        advice = "leave such rows out; to load nothing, return an empty list"
    elif isinstance(item, list | tuple):
        advice = "a row is a dict of column names and values; a list may stand around rows, not in place of one"
    shown = "None" if item is None else f"of type {name}"
    return NodeError(f"row {number} is {shown}, which is no row", help=advice)


def _size(rows: list[dict[str, Any]]) -> int:
    """Bytes of the values of rows, guessed from some of them."""
    sampled = rows[:: max(1, len(rows) // _SAMPLE)]
    return sum(_size_of(value) for row in sampled for value in row.values()) * len(rows) // len(sampled)


def _size_of(value: object) -> int:
    # Of a container `getsizeof` counts only the places in it.
    return len(repr(value)) if isinstance(value, dict | list | tuple) else sys.getsizeof(value)
