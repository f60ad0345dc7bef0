"""PostgreSQL as `sqlbuild.interfaces.loading.Loading`: rows go by binary COPY into a staging table that grows with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from sqlbuild.domain.ids import Relation
from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.loading import Loaded, LoadOrder, RowBatch
from sqlbuild.interfaces.warehouse import CommitMarker, Connection, Extent
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_address import LOCK_SECONDS
from sqlbuild.warehouses.postgres_apply import apply_load
from sqlbuild.warehouses.postgres_arrow import arrow_columns
from sqlbuild.warehouses.postgres_columns import columns_of, kind_of
from sqlbuild.warehouses.postgres_commits import MarkedTransaction
from sqlbuild.warehouses.postgres_dicts import RowShape, shape_of
from sqlbuild.warehouses.postgres_lock_waits import LockWait, watched
from sqlbuild.warehouses.postgres_rows import Given, given_columns
from sqlbuild.warehouses.postgres_staging import StagingTable

ROWS_AT_ONCE = 50_000
"""As Arrow data may hold any number of rows, and Python values of them are made."""


class PostgresLoading:
    """`lock_seconds`: for how long locks are waited for with which a table is replaced."""

    dialect = "postgres"

    def __init__(self, lock_seconds: float = LOCK_SECONDS) -> None:
        self._lock_seconds = lock_seconds

    def begin(self, order: LoadOrder) -> PostgresLoad:
        return PostgresLoad(order, self._lock_seconds)

    async def highest(self, connection: Connection, relation: Relation, column: str) -> Any:
        columns = await _postgres(connection).run(lambda raw: columns_of(raw, relation))
        if not columns:
            return None
        held = columns.get(column.lower())
        if held is None:
            shown = ", ".join(each.name for each in columns.values())
            raise WarehouseError(f"{relation} has no column {column}", help=f"its columns are {shown}")
        sql = f"SELECT max({quote_identifier(held.name)}) FROM {quote_relation(relation)}"
        return (await (await connection.query(sql, extent=Extent.FIRST)).fetch())[0][0]

    async def has_relation(self, connection: Connection, relation: Relation) -> bool:
        return await _postgres(connection).run(lambda raw: kind_of(raw, relation)) is not None


class PostgresLoad:
    """`sqlbuild.interfaces.loading.Load`."""

    def __init__(self, order: LoadOrder, lock_seconds: float) -> None:
        self._order = order
        self._lock_seconds = lock_seconds
        self._staging = StagingTable(order)
        self._shape: RowShape | None = None
        """Of the last rows, if others like them can be sent as they are."""

    async def add(self, connection: Connection, batch: RowBatch) -> None:
        if batch.arrow is None:
            await self._add_rows(_postgres(connection), batch)
            return
        for start in range(0, max(1, batch.rows), ROWS_AT_ONCE):
            part = batch.arrow.slice(start, ROWS_AT_ONCE)
            given = await anyio.to_thread.run_sync(arrow_columns, part, batch.first_row + start)
            await self._stage(connection, given, part.num_rows)

    async def _add_rows(self, connection: PostgresConnection, batch: RowBatch) -> None:
        dicts = batch.dicts
        shape = self._shape if dicts else None
        if shape is not None and await connection.run(lambda raw: self._staging.add_as_they_are(raw, shape, dicts)):
            return
        given = await anyio.to_thread.run_sync(given_columns, batch)
        await self._stage(connection, given, batch.rows)
        self._shape = shape_of(batch, self._staging.columns)

    async def _stage(self, connection: Connection, given: Mapping[str, Given | None], rows: int) -> None:
        await _postgres(connection).run(lambda raw: self._staging.add(raw, given, rows))

    async def apply(self, connection: Connection, commit: CommitMarker) -> Loaded:
        wait = LockWait(self._order.relation, self._lock_seconds)
        transaction = MarkedTransaction()

        async def apply(raw: Any) -> Loaded:
            if not self._staging.columns:
                await self._staging.create_empty(raw)
            return await apply_load(raw, self._order, self._staging, commit, wait, transaction)

        held = _postgres(connection)
        return await transaction.finish(
            lambda: watched(wait, held.beside, self._order.how.tell, lambda: transaction.run(held, apply))
        )

    async def discard(self, connection: Connection) -> None:
        await connection.execute(f"DROP TABLE IF EXISTS {self._staging.name}")


def _postgres(connection: Connection) -> PostgresConnection:
    assert isinstance(connection, PostgresConnection)
    return connection
