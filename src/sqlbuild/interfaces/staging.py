"""Building a relation in two steps: first beside the one that readers see, where it can be looked at, then into its place.

A third interface of a warehouse, beside `interfaces.warehouse` and `interfaces.loading`, for relations that are audited
before they are published. Everything is awaited on the event loop; cancelling a call stops its statement. Errors are
`WarehouseError`. A staged relation is durable: whoever stages one promotes it or drops it. Its name comes from
`runner.staging.staging_name`, by which one that a dead run has left is found.
"""

from __future__ import annotations

from typing import Protocol

from sqlbuild.domain.ids import Relation
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection


class Staging(Protocol):
    async def stage_table(
        self, connection: Connection, staging: Relation, sql: str, *, order: BuildOrder = PLAIN_BUILD
    ) -> None:
        """Make the table `staging` of the query's rows, in one transaction; an older one of that name is replaced."""

    async def promote_table(
        self,
        connection: Connection,
        staging: Relation,
        relation: Relation,
        *,
        commit: CommitMarker | None = None,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        """Put the table `staging` in the place of whatever is called `relation`, in one transaction with `commit`.

        On any error or cancellation both are as they were. The rows are not copied.
        """

    async def stage_view(self, connection: Connection, staging: Relation, sql: str) -> None:
        """Make the view `staging`; an older one of that name is replaced."""

    async def promote_view(
        self,
        connection: Connection,
        staging: Relation,
        relation: Relation,
        sql: str,
        *,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        """Replace whatever is called `relation` by a view of the same query, and drop the view `staging`, in one
        transaction; as `Warehouse.build_view` it leaves no marker."""
