"""What must hold of the rows of a delta, and what is said where it does not; the same on every warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlbuild.domain.incremental import IncrementalStrategy
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.incremental import DeltaOrder
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.sql.window_sql import literal
from sqlbuild.warehouses.schema_changes import HeldColumn

_SHOWN = 60


class DeltaChecks:
    """Of one staged delta; `columns` are those of the staging table, by lower-cased name.

    Raises WarehouseError for a key or a cursor that the query does not give.
    """

    def __init__(self, order: DeltaOrder, columns: Mapping[str, HeldColumn]) -> None:
        self._order = order
        self._columns = columns
        uses_keys = order.strategy is not IncrementalStrategy.APPEND
        self.keys = [self._named(name, "unique_key") for name in order.unique_key] if uses_keys else []
        self.cursor = self._named(order.cursor, "cursor") if order.cursor is not None else None
        self._checks_window = (
            order.window is not None and order.replaces_window and self.cursor is not None and not self.keys
        )

    def _named(self, name: str, key: str) -> HeldColumn:
        held = self._columns.get(name.lower())
        if held is None:
            given = ", ".join(column.name for column in self._columns.values())
            raise WarehouseError(f"`{key}` names the column {name}, which the query does not give: {given}")
        return held

    def counts(self) -> str:
        """A query of one row, for `judge`."""
        counted = ["count(*)", *(f"count({quote_identifier(key.name)})" for key in self.keys)]
        if self._order.replaces_window and self.cursor is not None:
            counted.append(f"count({quote_identifier(self.cursor.name)})")
        if self._checks_window:
            counted.append(f"count(CASE WHEN {self.window('')} THEN NULL ELSE {self._cursor_name} END)")
        return f"SELECT {', '.join(counted)} FROM {quote_relation(self._order.staging)}"

    def judge(self, counted: Sequence[int]) -> int:
        """How many rows there are. Raises WarehouseError for NULL where none may be, and rows outside of the window."""
        rows, *rest = counted
        for key in self.keys:
            known = rest.pop(0)
            if known != rows:
                raise WarehouseError(
                    f"column {key.name} is NULL in {rows - known:,} of {rows:,} rows, but it belongs to the unique key",
                    help="leave these rows out, or give the column a value",
                )
        if self._order.replaces_window and self.cursor is not None:
            known = rest.pop(0)
            if known != rows:
                raise WarehouseError(
                    f"column {self.cursor.name} is NULL in {rows - known:,} of {rows:,} rows, but it is the cursor: "
                    "no later build would replace them",
                    help="leave these rows out, or give the column a value",
                )
        if self._checks_window and rest and rest[0]:
            assert self.cursor is not None
            raise WarehouseError(
                f"column {self.cursor.name} is outside of the window {self._order.window} in {rest[0]:,} of {rows:,} "
                "rows, so that they would be there twice after another build",
                help="let `cursor_grain` be the unit that the query rounds the cursor to, or add a `unique_key`",
            )
        return int(rows)

    def twice(self) -> str | None:
        """A query for a key that several rows have, or None where there are no keys: its values, how many rows have
        it, and how many such keys there are."""
        if not self.keys:
            return None
        names = ", ".join(quote_identifier(key.name) for key in self.keys)
        return (
            f"SELECT {names}, count(*), count(*) OVER () FROM {quote_relation(self._order.staging)} "
            f"GROUP BY {names} HAVING count(*) > 1 ORDER BY {names} LIMIT 1"
        )

    def refuse_twice(self, found: Sequence[Any]) -> WarehouseError:
        *values, rows, keys = found
        shown = ", ".join(f"{key.name} = {str(value)[:_SHOWN]}" for key, value in zip(self.keys, values, strict=True))
        others = f" (and {keys - 1:,} more keys are there more than once)" if keys > 1 else ""
        return WarehouseError(
            f"the query gives {rows:,} rows with the unique key {shown}{others}",
            help="group by the key, keep one row of each, or add the columns that tell them apart to `unique_key`",
        )

    def window(self, qualifier: str, column: HeldColumn | None = None) -> str:
        """The condition that a row is within the window of the order."""
        window, column = self._order.window, column or self.cursor
        assert window is not None
        assert column is not None
        has_zone = "with time zone" in column.type.lower()
        name = qualifier + quote_identifier(column.name)
        low, high = (literal(value, has_zone=has_zone) for value in (window.covers_from, window.end))
        return f"{name} >= {low} AND {name} < {high}"

    @property
    def _cursor_name(self) -> str:
        assert self.cursor is not None
        return quote_identifier(self.cursor.name)
