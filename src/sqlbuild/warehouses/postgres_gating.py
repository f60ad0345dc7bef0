"""PostgreSQL as `sqlbuild.interfaces.staging.Staging`."""

from __future__ import annotations

from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection
from sqlbuild.sql.rendering import quote_relation
from sqlbuild.warehouses.postgres_address import LOCK_SECONDS
from sqlbuild.warehouses.postgres_commits import MarkedTransaction
from sqlbuild.warehouses.postgres_lock_waits import LockWait, watched
from sqlbuild.warehouses.postgres_swap import Swapping, make_table, put_in_place, swapped_view


class PostgresStaging:
    """`lock_seconds`: for how long locks are waited for with which a relation is replaced."""

    def __init__(self, lock_seconds: float = LOCK_SECONDS) -> None:
        self._lock_seconds = lock_seconds

    async def stage_table(
        self, connection: Connection, staging: Relation, sql: str, *, order: BuildOrder = PLAIN_BUILD
    ) -> None:
        async def stage(raw: Any) -> None:
            async with raw.transaction():
                await raw.execute(f"DROP TABLE IF EXISTS {quote_relation(staging)}")
                await make_table(raw, staging, sql, order)
            failpoint("gate.staged")

        await _postgres(connection).run(stage)

    async def promote_table(
        self,
        connection: Connection,
        staging: Relation,
        relation: Relation,
        *,
        commit: CommitMarker | None = None,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        wait, transaction = LockWait(relation, self._lock_seconds), MarkedTransaction()

        async def promote(raw: Any) -> None:
            async with raw.transaction():
                await wait.alone(raw)
                async with wait.within(raw):
                    await put_in_place(raw, staging, relation, order)
                # One transaction writes to one database.
                if commit is not None and relation.database.lower() == commit.relation.database.lower():
                    await transaction.mark(raw, commit)
                failpoint("warehouse.committing")
            transaction.committed()
            failpoint("model.swapped")

        held = _postgres(connection)
        await transaction.finish(lambda: watched(wait, held.beside, order.tell, lambda: transaction.run(held, promote)))

    async def stage_view(self, connection: Connection, staging: Relation, sql: str) -> None:
        async def stage(raw: Any) -> None:
            create = f"CREATE VIEW {quote_relation(staging)} AS {sql}"
            async with raw.transaction():
                await raw.execute(f"DROP VIEW IF EXISTS {quote_relation(staging)}")
                with translated(sql, create):
                    await raw.execute(create)
            failpoint("gate.staged")

        await _postgres(connection).run(stage)

    async def promote_view(
        self,
        connection: Connection,
        staging: Relation,
        relation: Relation,
        sql: str,
        *,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        held = _postgres(connection)
        how = Swapping(connect=held.beside, lock_seconds=self._lock_seconds)
        await swapped_view(held, relation, sql, order, how, staging=staging)


def _postgres(connection: Connection) -> PostgresConnection:
    assert isinstance(connection, PostgresConnection)
    return connection
