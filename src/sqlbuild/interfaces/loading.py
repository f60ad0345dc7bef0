"""Filling tables with rows: bounded batches go into a staging table, then one transaction brings them into the table.

A second interface of a warehouse, beside `interfaces.warehouse`. Everything is awaited on the event loop; cancelling a
call stops its statement. Errors are `WarehouseError`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.domain.record import record
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection


class ValueKind(enum.StrEnum):
    """What the Python values of a column are; its words stand in messages. Each warehouse has a type for each."""

    BOOLEAN = "true or false"
    INTEGER = "whole numbers"
    FLOAT = "floats"
    DECIMAL = "decimals"
    TEXT = "text"
    BYTES = "bytes"
    DATE = "dates"
    TIME = "times of day"
    TIMESTAMP = "datetimes without a time zone"
    TIMESTAMP_TZ = "datetimes with a time zone"
    INTERVAL = "timedeltas"
    UUID = "UUIDs"
    JSON = "dicts or lists"
    """The values are JSON text already."""


@record(frozen=True, slots=True)
class ValueColumn:
    """The values of one column, None or of `kind`; without a kind all are None.

    `scale` is the number of digits after the point that decimals need. Whole numbers may be of any size.
    """

    kind: ValueKind | None
    values: list[Any]
    scale: int = 0


@record(frozen=True, slots=True, kw_only=True)
class RowBatch:
    """Some rows of a load, column by column: as Python values, or as a pyarrow RecordBatch in their place.

    Looking at `columns` may take its time, and raises NodeError for what no column can hold: they are made of `dicts`
    then, and not before.
    """

    rows: int
    first_row: int
    """Its number in the load, from 1."""
    columns: Mapping[str, ValueColumn] = dataclasses.field(default_factory=dict)
    dicts: Sequence[Mapping[str, Any]] = ()
    """The rows as they came, if they are plain dicts that were not looked into yet."""
    arrow: Any = None


@record(frozen=True, slots=True, kw_only=True)
class LoadOrder:
    """What a load does to which table.

    `columns` are declared ones: values are cast to their types, and they exist even if no row has them. `enforced`:
    there may be no others, and those that are not nullable hold no NULL.
    """

    relation: Relation
    staging: str
    """Name of a table beside `relation` that nobody else uses."""
    strategy: WriteStrategy
    cursor_column: str | None = None
    unique_key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    enforced: bool = False
    how: BuildOrder = PLAIN_BUILD
    """Of a table that is replaced: which views on it this run still builds, and who is told of waiting."""
    whole: bool = False
    """Of the strategy `table`: there will be just the declared columns, whatever was called `relation` before, also a
    view, and also if there are no rows."""


@record(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load has done."""

    rows: int
    has_table: bool
    """False if there was no table and no row tells what its columns are."""
    added_columns: tuple[str, ...] = ()
    widened_columns: tuple[str, ...] = ()
    """For example `quantity: INTEGER to BIGINT`."""
    left_out_columns: tuple[str, ...] = ()
    """Without a type: all their values are NULL, the table does not have them, and no type is declared."""


class Load(Protocol):
    """One load on its way. Connections are only borrowed for a call."""

    async def add(self, connection: Connection, batch: RowBatch) -> None:
        """Put rows into the staging table. A key that a row lacks is NULL in it; columns may come and widen."""

    async def apply(self, connection: Connection, commit: CommitMarker) -> Loaded:
        """Bring the staged rows into the table, in one transaction with `commit`; on any error or cancellation
        nothing of it has happened.

        New columns are added to the table, types are only widened: what does not fit is an error that names the
        column, the old type and the new one.
        """

    async def discard(self, connection: Connection) -> None:
        """Remove the staging table, if it is still there."""


class Loading(Protocol):
    @property
    def dialect(self) -> str:
        """In which types are declared: `duckdb` or `postgres`."""

    def begin(self, order: LoadOrder) -> Load:
        """Without I/O; what an earlier process left in the staging table is replaced by the first `add`."""

    async def highest(self, connection: Connection, relation: Relation, column: str) -> Any:
        """The highest value of a column; None without rows and without the table. WarehouseError without the column."""

    async def has_relation(self, connection: Connection, relation: Relation) -> bool:
        """Whether there is a table or view of that name."""


@record(frozen=True, slots=True)
class UpstreamFacts:
    """A table that a loader may read: what stands for it in a FROM clause, and its cursor column if it has one."""

    destination: str
    cursor_column: str | None = None
    relation: Relation | None = None


class LoadSession(Protocol):
    """What a running loader can ask of the engine beside `NodeSession`; plain data in and out.

    A load that was begun and neither applied nor discarded is discarded when the attempt ends.
    """

    @property
    def destination(self) -> str:
        """Quoted and qualified."""

    @property
    def cursor_value(self) -> Any:
        """The highest value of the cursor column, as `start` has found it; None without one."""

    def upstream(self, upstream: Callable[..., object] | str) -> UpstreamFacts:
        """A declared upstream loader, or a declared source by name. Raises UndeclaredDependency."""

    async def highest(self, upstream: UpstreamFacts, column: str) -> Any: ...

    async def start(self) -> None:
        """Before the author's function is called."""

    async def stage(self, batch: RowBatch) -> None: ...

    async def apply(self) -> Loaded:
        """All rows were staged, possibly none: bring them into the table."""

    async def has_table(self) -> bool:
        """Whether there is a table or view called as the destination."""
