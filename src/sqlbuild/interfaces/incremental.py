"""Growing tables: the rows of a delta wait in a staging table, then one transaction brings them into the table.

A further interface of a warehouse, beside `interfaces.warehouse`. Everything is awaited on the event loop; cancelling a
call stops its statement. Errors are `WarehouseError`.
"""

from __future__ import annotations

import enum
from typing import Protocol

from sqlbuild.domain.cursor_windows import Extent, Window
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.incremental import CursorType, IncrementalStrategy, OnSchemaChange
from sqlbuild.domain.record import record
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection


class Standing(enum.Enum):
    """What a relation is."""

    MISSING = enum.auto()
    TABLE = enum.auto()
    OTHER = enum.auto()
    """A view, for example: it cannot grow."""


@record(frozen=True, slots=True, kw_only=True)
class DeltaOrder:
    """What a delta does to which table.

    With `cursor` and a `window` the rows of the table in that window are replaced, whatever the strategy, if
    `replaces_window` says so.
    """

    relation: Relation
    staging: Relation
    strategy: IncrementalStrategy
    unique_key: tuple[str, ...] = ()
    cursor: str | None = None
    window: Window | None = None
    replaces_window: bool = False
    merge_exclude: tuple[str, ...] = ()
    on_schema_change: OnSchemaChange = OnSchemaChange.APPEND_NEW_COLUMNS
    how: BuildOrder = PLAIN_BUILD


@record(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a delta has done. `notes` are worth telling: what was ignored, or cannot be undone."""

    rows: int
    added_columns: tuple[str, ...] = ()
    dropped_columns: tuple[str, ...] = ()
    changed_columns: tuple[str, ...] = ()
    """For example `quantity: INTEGER to BIGINT`."""
    notes: tuple[str, ...] = ()


class Deltas(Protocol):
    async def standing(self, connection: Connection, relation: Relation) -> Standing: ...

    async def extent(self, connection: Connection, sql: str, column: str, type_: CursorType) -> Extent:
        """The lowest and the highest value of a column of what `sql`, which may stand in a FROM clause, gives.

        Raises WarehouseError for a column that is not there or holds no values of that type.
        """

    async def stage(self, connection: Connection, order: DeltaOrder, sql: str) -> None:
        """Put the query's rows into the staging table; an earlier one of that name is replaced."""

    async def check(self, connection: Connection, order: DeltaOrder) -> int:
        """How many rows are staged. Raises WarehouseError for keys that are NULL or there twice, and for rows outside
        of a window that is replaced."""

    async def apply(self, connection: Connection, order: DeltaOrder, rows: int, commit: CommitMarker | None) -> Applied:
        """Bring the staged rows into the table, in one transaction with `commit`; on any error or cancellation nothing
        of it has happened, but for the staging table."""

    async def discard(self, connection: Connection, order: DeltaOrder) -> None:
        """Remove the staging table, if it is still there."""

    async def parts_of(self, connection: Connection, commit: CommitMarker) -> frozenset[str]:
        """What of that node has taken effect in that run: the parts of all its markers."""
