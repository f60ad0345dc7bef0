"""PostgreSQL as `sqlbuild.interfaces.incremental.Deltas`."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any

from sqlbuild.domain.cursor_windows import Extent
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.incremental import CursorType, CursorValue, IncrementalStrategy
from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.incremental import Applied, DeltaOrder, Standing
from sqlbuild.interfaces.warehouse import CommitMarker, Connection
from sqlbuild.interfaces.warehouse import Extent as Rows
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.delta_checks import DeltaChecks
from sqlbuild.warehouses.postgres_address import LOCK_SECONDS
from sqlbuild.warehouses.postgres_columns import TableColumn, columns_of, kind_of
from sqlbuild.warehouses.postgres_commits import MarkedTransaction
from sqlbuild.warehouses.postgres_lock_waits import LockWait, watched
from sqlbuild.warehouses.postgres_replacing import altered
from sqlbuild.warehouses.postgres_swap import typed
from sqlbuild.warehouses.schema_changes import SchemaChanges, schema_changes

_LAST = datetime.datetime.fromisoformat("9999-12-31")
_TABLES = ("r", "p")
_PATH = "SELECT set_config('search_path', $1, true)"


class PostgresDeltas:
    """`lock_seconds`: for how long locks are waited for with which a table is changed."""

    def __init__(self, lock_seconds: float = LOCK_SECONDS) -> None:
        self._lock_seconds = lock_seconds

    async def standing(self, connection: Connection, relation: Relation) -> Standing:
        kind = await _postgres(connection).run(lambda raw: kind_of(raw, relation))
        return Standing.MISSING if kind is None else Standing.TABLE if kind in _TABLES else Standing.OTHER

    async def extent(self, connection: Connection, sql: str, column: str, type_: CursorType) -> Extent:
        name = quote_identifier(column)
        query = f"SELECT min({name}), max({name}), pg_typeof(max({name}))::text FROM {sql}"
        ((low, high, held),) = await (await connection.query(query, extent=Rows.FIRST)).fetch()
        is_right = {CursorType.INTEGER: _is_whole, CursorType.TIMESTAMP: _is_moment}[type_]
        if not (is_right(low, held) and is_right(high, held)):
            wanted = "dates or times" if type_ is CursorType.TIMESTAMP else "whole numbers"
            raise WarehouseError(f"the cursor column {column} is {held}, and not of {wanted}")
        zone = "with time zone" in held
        return Extent(low=_value(low, column), high=_value(high, column), has_zone=zone)

    async def stage(self, connection: Connection, order: DeltaOrder, sql: str) -> None:
        await _postgres(connection).run(lambda raw: _stage(raw, order, sql))
        failpoint("delta.staged")

    async def check(self, connection: Connection, order: DeltaOrder) -> int:
        return await _postgres(connection).run(lambda raw: _check(raw, order))

    async def apply(self, connection: Connection, order: DeltaOrder, rows: int, commit: CommitMarker | None) -> Applied:
        wait = LockWait(order.relation, self._lock_seconds)
        transaction = MarkedTransaction()
        held = _postgres(connection)

        async def apply(raw: Any) -> Applied:
            async with raw.transaction():
                await wait.alone(raw)
                applied = await _Apply(raw, order, rows, wait).run()
                if commit is not None:
                    await transaction.mark(raw, commit, applied)
                failpoint("delta.applied")
            transaction.committed()
            failpoint("delta.committed")
            return applied

        return await transaction.finish(
            lambda: watched(wait, held.beside, order.how.tell, lambda: transaction.run(held, apply))
        )

    async def discard(self, connection: Connection, order: DeltaOrder) -> None:
        await connection.execute(f"DROP TABLE IF EXISTS {quote_relation(order.staging)}")

    async def parts_of(self, connection: Connection, commit: CommitMarker) -> frozenset[str]:
        sql = f"SELECT part FROM {quote_relation(commit.relation)} WHERE run_id = ? AND node_id = ?"
        rows = await (await connection.query(sql, [commit.run_id, str(commit.node)], extent=Rows.WHOLE)).fetch()
        return frozenset(str(part) for (part,) in rows)


def _postgres(connection: Connection) -> PostgresConnection:
    assert isinstance(connection, PostgresConnection)
    return connection


def _is_whole(value: object, _held: str) -> bool:
    if isinstance(value, decimal.Decimal):
        return value.is_finite() and value == value.to_integral_value()
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _is_moment(value: object, held: str) -> bool:
    return held.startswith(("date", "timestamp")) and (value is None or isinstance(value, datetime.date))


def _value(value: Any, column: str) -> CursorValue | None:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, decimal.Decimal):
        return int(value)
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
    if moment.replace(tzinfo=None) >= _LAST or value.year == 1:
        raise WarehouseError(f"the cursor column {column} holds a moment that is infinite")
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


async def _stage(raw: Any, order: DeltaOrder, sql: str) -> None:
    name = quote_relation(order.staging)
    async with raw.transaction():
        await raw.execute(f"DROP TABLE IF EXISTS {name}")
        # Rows that will only be read from here need not be in the server's log.
        create = f"CREATE UNLOGGED TABLE {name} AS {await typed(raw, sql, order.how.types)}"
        with translated(sql, create):
            await raw.execute(create)
        await raw.execute(f"ANALYZE {name}")


async def _check(raw: Any, order: DeltaOrder) -> int:
    async with raw.transaction():
        checks = DeltaChecks(order, await columns_of(raw, order.staging))
        rows = checks.judge(await raw.fetchrow(checks.counts()))
        twice = checks.twice()
        found = await raw.fetchrow(twice) if twice is not None else None
        if found is not None:
            raise checks.refuse_twice(found)
    return rows


class _Apply:
    """Within the transaction."""

    def __init__(self, raw: Any, order: DeltaOrder, rows: int, wait: LockWait) -> None:
        self._raw = raw
        self._order = order
        self._rows = rows
        self._wait = wait
        self._table = quote_relation(order.relation)
        self._staging = quote_relation(order.staging)
        self._staged: Mapping[str, TableColumn] = {}
        self._held: Mapping[str, TableColumn] = {}
        """The table's columns, as they are when the rows come."""

    async def run(self) -> Applied:
        order = self._order
        there = await self._raw.fetchval(f"SELECT count(*) FROM {self._staging}")
        if there != self._rows:
            # A server that has crashed forgets what was not in its log.
            raise WarehouseError(
                f"{self._rows - there:,} of {self._rows:,} rows are gone: the server has crashed meanwhile",
                help="build the model again",
                transient=True,
            )
        self._staged = await columns_of(self._raw, order.staging)
        table = await columns_of(self._raw, order.relation)
        changes = schema_changes(order.relation, order.on_schema_change, self._staged, table)
        self._held = table
        if changes.alters:
            await self._alter(changes, table)
            self._held = await columns_of(self._raw, order.relation)
        await self._change(changes, DeltaChecks(order, self._staged))
        await self._do(f"DROP TABLE {self._staging}")
        return Applied(
            rows=self._rows,
            added_columns=tuple(self._staged[key].name for key in changes.added),
            dropped_columns=tuple(table[key].name for key in changes.dropped),
            changed_columns=tuple(
                f"{table[key].name}: {table[key].type} to {self._staged[key].type}" for key in changes.retyped
            ),
            notes=changes.notes,
        )

    async def _do(self, sql: str) -> None:
        with translated(sql):
            await self._raw.execute(sql)

    async def _alter(self, changes: SchemaChanges, table: Mapping[str, TableColumn]) -> None:
        staged = self._staged
        texts = [f"ADD COLUMN {quote_identifier(staged[key].name)} {staged[key].type}" for key in changes.added]
        texts += [f"DROP COLUMN {quote_identifier(table[key].name)}" for key in changes.dropped]
        for key in changes.retyped:
            name, type_ = quote_identifier(table[key].name), staged[key].type
            texts.append(f"ALTER COLUMN {name} TYPE {type_} USING {name}::{type_}")

        async def alter() -> None:
            # The types may be named without a schema.
            await self._raw.execute(_PATH, self._wait.search_path)
            await self._do(f"ALTER TABLE {self._table} {', '.join(texts)}")
            await self._raw.execute(_PATH, "")

        async with self._wait.within(self._raw):
            if changes.dropped or changes.retyped:
                await altered(self._raw, self._order.relation, alter)
            else:
                await alter()
        await self._raw.execute(_PATH, self._wait.search_path)

    async def _change(self, changes: SchemaChanges, checks: DeltaChecks) -> None:
        order, keys = self._order, [key.name.lower() for key in checks.keys]
        if order.replaces_window and order.window is not None and checks.cursor is not None:
            held = self._held.get(checks.cursor.name.lower(), checks.cursor)
            await self._do(f"DELETE FROM {self._table} WHERE {checks.window('', held)}")
        matches = " AND ".join(f"t.{quote_identifier(self._held[key].name)} = {self._value(key)}" for key in keys)
        match order.strategy:
            case IncrementalStrategy.MERGE:
                await self._merge(changes, keys, matches)
            case IncrementalStrategy.DELETE_INSERT if keys:
                await self._do(f"DELETE FROM {self._table} AS t USING {self._staging} AS s WHERE {matches}")
                await self._insert(changes)
            case _:
                await self._insert(changes)

    async def _merge(self, changes: SchemaChanges, keys: list[str], matches: str) -> None:
        # MERGE itself came with PostgreSQL 15, and would not be faster.
        kept = {*keys, *(name.lower() for name in self._order.merge_exclude)}
        updates = ", ".join(
            f"{quote_identifier(self._held[key].name)} = {self._value(key)}"
            for key in changes.filled
            if key not in kept
        )
        if updates:
            await self._do(f"UPDATE {self._table} AS t SET {updates} FROM {self._staging} AS s WHERE {matches}")
        await self._insert(changes, f" WHERE NOT EXISTS (SELECT FROM {self._table} AS t WHERE {matches})")

    async def _insert(self, changes: SchemaChanges, where: str = "") -> None:
        names = ", ".join(quote_identifier(self._held[key].name) for key in changes.filled)
        values = ", ".join(map(self._value, changes.filled))
        await self._do(f"INSERT INTO {self._table} ({names}) SELECT {values} FROM {self._staging} AS s{where}")

    def _value(self, key: str) -> str:
        """The staged value of a column as one of the table's type; what is too long for it stays an error."""
        staged, held = self._staged[key], self._held[key]
        name = f"s.{quote_identifier(staged.name)}"
        return name if staged.bare_type == held.bare_type else f"CAST({name} AS {held.bare_type})"
