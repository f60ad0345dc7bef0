"""A warehouse and its connections.

One `Warehouse` is open for one run. `connect()` hands out a `Connection`, used by one node at a time; each connection
may hold several open results. Everything here is awaited on the event loop, under asyncio and trio; cancelling a call
stops the statement on the warehouse and returns only when it has ended. Errors are `WarehouseError`,
`WarehouseUnreachable` or `TargetLocked`, never the driver's own.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.record import record
from sqlbuild.domain.relation_options import Grants, Index

Parameters = Sequence[object] | Mapping[str, object] | None


@record(frozen=True, slots=True, kw_only=True)
class CommitMarker:
    """A row of `_sqlbuild_commits`, written in the very transaction that it tells of, with the time of that.

    `part` is what of the node took effect; `attempt` tells it from what the node did before in the same run.
    """

    relation: Relation
    run_id: str
    node: NodeId
    part: str
    attempt: int


def _no_relation(_relation: Relation) -> bool:
    return False


def _to_nobody(_message: str) -> None:
    """Nobody wants to know."""


@record(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What is asked of a table or view besides its rows. A warehouse passes over what it does not have."""

    indexes: Sequence[Index] = ()
    grants: Grants = dataclasses.field(default_factory=dict)
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Declared types of a table's columns, for a warehouse in whose SQL the query cannot cast them by itself."""
    is_built_later: Callable[[Relation], bool] = _no_relation
    """Whether this run will still build a relation; asked from any thread.

    Such a view may go on reading what was there before, if it cannot read what comes into its place.
    """
    tell: Callable[[str], None] = _to_nobody
    """Told on the event loop what is waited for."""


PLAIN_BUILD = BuildOrder()


class Extent(enum.Enum):
    """How much of a result will be read, as far as it is known when the statement is sent."""

    PAGES = enum.auto()
    WHOLE = enum.auto()
    """All rows, by one `fetch()`."""
    FIRST = enum.auto()
    """The first row, and nothing more."""


class OpenResult(Protocol):
    """Rows of one statement, read forward. Closed by itself once nothing of it is left in the warehouse; rows that
    were read ahead can still be fetched then."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def closed(self) -> bool: ...

    async def fetch(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        """The next `limit` rows (all that are left without it); fewer mean that the result has ended."""

    async def fetch_batch(self, rows: int) -> Any:
        """The next Arrow record batch of at most `rows` rows, or None at the end; not to be mixed with `fetch`.

        A result without rows gives one batch without rows first, so that its columns and their types are known.
        """

    async def close(self) -> None: ...

    def abandon(self) -> None:
        """From any thread, without waiting: let the result go; used when nobody holds it any more."""


class Connection(Protocol):
    @property
    def raw(self) -> Any:
        """The driver's own object."""

    @property
    def raw_is_async(self) -> bool:
        """Whether `raw` belongs to the event loop, and is of no use on another thread."""

    async def execute(self, sql: str, parameters: Parameters = None) -> None: ...

    async def query(
        self, sql: str, parameters: Parameters = None, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> OpenResult:
        """`extent` may save round trips to a server; less must not be read than it says, and more cannot be."""

    async def execute_together(self, statements: Iterable[tuple[str, Parameters]]) -> None:
        """Run all statements in one transaction; on any error or cancellation none of them has happened.

        Each is taken when the one before has ended, on another thread perhaps.
        """

    async def close(self) -> None:
        """Close every result that is still open and give the connection back; a caller that is cancelled waits for that."""


class Warehouse(Protocol):
    """Opened by `open()`, closed by `close()`; both may be awaited once."""

    def exists(self) -> bool:
        """Whether there is something to open; False for an embedded database that nothing was built into yet."""

    async def open(self, *, read_only: bool = False) -> None: ...

    async def close(self) -> None: ...

    def connect(self) -> Connection:
        """Cheap, without I/O: whatever must be waited for is waited for by the connection's first statement."""

    async def relations(self) -> frozenset[Relation]:
        """Existing tables and views, names lower-cased, `database` empty for the connection's own database."""

    async def table_version(self, relation: Relation) -> str | None:
        """A text that changes when rows come or go, from what is known of a table without reading it; None if it is none."""

    async def create_schemas(self, schemas: Iterable[str]) -> None:
        """Make the schemas that do not exist; called before any node starts."""

    async def build_view(
        self, connection: Connection, relation: Relation, sql: str, *, order: BuildOrder = PLAIN_BUILD
    ) -> None:
        """Replace whatever is called `relation` by a view, in one transaction.

        It leaves no marker: that would take longer than to make the view again.
        """

    async def build_table(
        self,
        connection: Connection,
        relation: Relation,
        sql: str,
        *,
        commit: CommitMarker | None = None,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        """Replace whatever is called `relation` by a table of the query's rows, in one transaction with `commit`.

        Until that commits readers see what was there before; on any error or cancellation it stays, and nothing else.
        """

    async def append_json(self, connection: Connection, relation: Relation, rows: Sequence[str]) -> None:
        """Append rows to a table, each the text of a JSON object, by column name, all or none of them.

        A row is NULL in the columns that it does not name; names that the table does not have are passed over.
        """
