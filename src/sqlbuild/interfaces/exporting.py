"""Files out of a warehouse, and what a running node can ask for to have one written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from sqlbuild.domain.exports import ExportFormat, ExportResult
from sqlbuild.domain.record import record
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.refs import Reference


@record(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """The arguments of one `ctx.export(...)`. Without a format the path's suffix tells it."""

    path: str
    format: ExportFormat | None = None
    partition_by: tuple[str, ...] = ()
    cursor: str | None = None
    check_columns: bool = False


class ExportSession(Protocol):
    """Exports of one attempt. Raises ExportError, WarehouseError, MissingExtra; what fails or is cancelled leaves
    nothing under the final name and what was there before as it was."""

    async def copy(self, what: Reference | str, order: ExportOrder) -> ExportResult:
        """Export a declared upstream or the rows of a query."""

    async def begin(self, order: ExportOrder) -> int:
        """Start an export of Arrow record batches; `finish` or `discard` ends it."""

    async def write(self, export: int, batch: Any) -> None:
        """Returns when the batch was taken: whoever gives them waits for whoever writes them."""

    async def finish(self, export: int) -> ExportResult: ...

    def discard(self, export: int) -> None:
        """From any thread, without waiting: nothing of the export stays. Does nothing for one that has ended."""


@record(frozen=True, slots=True, kw_only=True)
class CursorRange:
    """Rows whose `column` is beyond `after` and up to `upto`, both as text of the column's type.

    Without `after` rows that have no value count too; without `upto` there is no upper end.
    """

    column: str
    type: str
    after: str | None = None
    upto: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class ParquetRows:
    """The rows of a Parquet file on this machine, in the place of a query's."""

    path: str


@record(frozen=True, slots=True, kw_only=True)
class CopyOrder:
    """The rows of a query go into a file, or with `partition_by` into files of the folder `path`; `cursor` is for a query.

    Nothing but the query's order, if it has one, says how rows are ordered. An existing file is overwritten in place.
    """

    rows: str | ParquetRows
    path: str
    format: ExportFormat
    partition_by: tuple[str, ...] = ()
    cursor: CursorRange | None = None


@record(frozen=True, slots=True, kw_only=True)
class Copied:
    """`rows_of_files` (path -> rows) is empty where the warehouse does not tell it."""

    rows: int
    rows_of_files: Mapping[str, int] = dataclasses.field(default_factory=dict)


class Copying(Protocol):
    """An interface of a warehouse beside `interfaces.warehouse`. Everything is awaited on the event loop; cancelling a
    call stops its statement. Errors are `WarehouseError`."""

    @property
    def dialect(self) -> str:
        """In which the types of a query's columns are spelled; those of Parquet files are spelled as in "duckdb"."""

    async def describe(self, connection: Connection, rows: str | ParquetRows) -> list[tuple[str, str]]:
        """Names and types of the columns. Raises WarehouseError for what is not one query."""

    async def highest(self, connection: Connection, sql: str, cursor: CursorRange) -> str | None:
        """The highest value of a column in a range of a query's rows, as text; None without any."""

    async def copy_to_file(self, connection: Connection, order: CopyOrder) -> Copied:
        """Raises MissingExtra for a format that needs one."""

    def query_of(self, sql: str, cursor: CursorRange | None) -> str:
        """One query for the rows of `sql` in that range. Raises WarehouseError for what is not one query."""
