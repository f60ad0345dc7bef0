"""DuckDB as `sqlbuild.interfaces.incremental.Deltas`."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable
from typing import Any

from sqlbuild.domain.cursor_windows import Extent
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.incremental import CursorType, IncrementalStrategy
from sqlbuild.drivers.duckdb import DuckDBConnection
from sqlbuild.drivers.duckdb_blocking import BlockingCursor
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.incremental import Applied, DeltaOrder, Standing
from sqlbuild.interfaces.warehouse import CommitMarker, Connection
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.delta_checks import DeltaChecks
from sqlbuild.warehouses.duckdb_apply import columns_of, is_view
from sqlbuild.warehouses.duckdb_commits import mark
from sqlbuild.warehouses.schema_changes import SchemaChanges, schema_changes

_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - cursors are moments without a zone
_INDEXES = """
SELECT index_name, sql FROM duckdb_indexes()
WHERE lower(table_name) = lower(?) AND lower(schema_name) = lower(?)
    AND lower(database_name) = lower(coalesce(nullif(?, ''), current_database()))
"""


class DuckDBDeltas:
    async def standing(self, connection: Connection, relation: Relation) -> Standing:
        return await _blocking(connection).blocking(functools.partial(_standing, relation=relation))

    async def extent(self, connection: Connection, sql: str, column: str, type_: CursorType) -> Extent:
        return await _blocking(connection).blocking(functools.partial(_extent, sql=sql, column=column, type_=type_))

    async def stage(self, connection: Connection, order: DeltaOrder, sql: str) -> None:
        # The query starts on the statement's first line, so that the lines in DuckDB's messages are the query's own.
        await connection.execute(f"CREATE OR REPLACE TABLE {quote_relation(order.staging)} AS {sql}")
        failpoint("delta.staged")

    async def check(self, connection: Connection, order: DeltaOrder) -> int:
        return await _blocking(connection).blocking(functools.partial(_check, order=order))

    async def apply(self, connection: Connection, order: DeltaOrder, rows: int, commit: CommitMarker | None) -> Applied:
        return await _blocking(connection).blocking(functools.partial(_apply, order=order, rows=rows, commit=commit))

    async def discard(self, connection: Connection, order: DeltaOrder) -> None:
        await connection.execute(f"DROP TABLE IF EXISTS {quote_relation(order.staging)}")

    async def parts_of(self, connection: Connection, commit: CommitMarker) -> frozenset[str]:
        sql = f"SELECT part FROM {quote_relation(commit.relation)} WHERE run_id = ? AND node_id = ?"
        rows = await (await connection.query(sql, [commit.run_id, commit.node])).fetch()
        return frozenset(str(part) for (part,) in rows)


def _blocking(connection: Connection) -> DuckDBConnection:
    assert isinstance(connection, DuckDBConnection)
    return connection


def _standing(cursor: BlockingCursor, *, relation: Relation) -> Standing:
    if is_view(cursor, relation):
        return Standing.OTHER
    return Standing.MISSING if columns_of(cursor, relation) is None else Standing.TABLE


def _extent(cursor: BlockingCursor, *, sql: str, column: str, type_: CursorType) -> Extent:
    name = quote_identifier(column)
    if type_ is CursorType.INTEGER:
        ((low, high, held),) = cursor.rows(f"SELECT min({name}), max({name}), typeof(max({name})) FROM {sql}")
        if isinstance(high, bool) or (high is not None and (isinstance(high, str) or int(high) != high)):
            raise WarehouseError(f"the cursor column {column} is {held}, and not of whole numbers")
        return Extent() if high is None else Extent(low=int(low), high=int(high))
    ((low, high, held, is_finite),) = cursor.rows(
        f"SELECT epoch_us(min({name})), epoch_us(max({name})), typeof(max({name})), "
        f"isfinite(min({name})) AND isfinite(max({name})) FROM {sql}"
    )
    if is_finite is False:
        raise WarehouseError(f"the cursor column {column} holds a moment that is infinite")
    return Extent(low=_moment(low, column), high=_moment(high, column), has_zone="TIME ZONE" in str(held))


def _moment(microseconds: int | None, column: str) -> datetime.datetime | None:
    if microseconds is None:
        return None
    try:
        return _EPOCH + datetime.timedelta(microseconds=microseconds)
    except OverflowError:
        raise WarehouseError(f"the cursor column {column} holds a moment after the year 9999") from None


def _check(cursor: BlockingCursor, *, order: DeltaOrder) -> int:
    checks = DeltaChecks(order, columns_of(cursor, order.staging) or {})
    rows = checks.judge(cursor.rows(checks.counts())[0])
    twice = checks.twice()
    found = cursor.rows(twice) if twice is not None else []
    if found:
        raise checks.refuse_twice(found[0])
    return rows


def _apply(cursor: BlockingCursor, *, order: DeltaOrder, rows: int, commit: CommitMarker | None) -> Applied:
    staged = columns_of(cursor, order.staging) or {}
    with cursor.transaction():
        table = columns_of(cursor, order.relation) or {}
        changes = schema_changes(order.relation, order.on_schema_change, staged, table)
        applied = Applied(
            rows=rows,
            added_columns=tuple(staged[key].name for key in changes.added),
            dropped_columns=tuple(table[key].name for key in changes.dropped),
            changed_columns=tuple(
                f"{table[key].name}: {table[key].type} to {staged[key].type}" for key in changes.retyped
            ),
            notes=changes.notes,
        )
        if changes.alters:
            _alter(cursor, order, changes, staged, table)
        _Rows(cursor, order, changes, DeltaChecks(order, staged), table).change()
        cursor.execute(f"DROP TABLE {quote_relation(order.staging)}")
        # One transaction writes to one database.
        if commit is not None and order.relation.database.lower() == commit.relation.database.lower():
            cursor.execute(*mark(commit))
        failpoint("delta.applied")
    failpoint("delta.committed")
    return applied


def _alter(cursor: BlockingCursor, order: DeltaOrder, changes: SchemaChanges, staged: Any, table: Any) -> None:
    name = quote_relation(order.relation)
    indexes = []
    if changes.dropped or changes.retyped:
        # DuckDB changes no table that has an index.
        place = order.relation
        indexes = cursor.rows(_INDEXES, [place.name, place.schema, place.database])
        schema = f"{quote_identifier(place.schema)}." if place.schema else ""
        for index, _ in indexes:
            cursor.execute(f"DROP INDEX {schema}{quote_identifier(str(index))}")
    for key in changes.added:
        cursor.execute(f"ALTER TABLE {name} ADD COLUMN {quote_identifier(staged[key].name)} {staged[key].type}")
    for key in changes.retyped:
        column = quote_identifier(table[key].name)
        cursor.execute(f"ALTER TABLE {name} ALTER COLUMN {column} SET DATA TYPE {staged[key].type}")
    for key in changes.dropped:
        cursor.execute(f"ALTER TABLE {name} DROP COLUMN {quote_identifier(table[key].name)}")
    for index, sql in indexes:
        try:
            cursor.execute(str(sql))
        except WarehouseError as error:
            raise WarehouseError(
                f"the index {index} cannot be made again on the columns that {order.relation} has now: {error.args[0]}",
                help="build the table again with --full-refresh",
            ) from error


class _Rows:
    """Within the transaction, when the table has the columns that it is to have."""

    def __init__(
        self, cursor: BlockingCursor, order: DeltaOrder, changes: SchemaChanges, checks: DeltaChecks, table: Any
    ) -> None:
        self._cursor = cursor
        self._order = order
        self._checks = checks
        self._table = quote_relation(order.relation)
        self._staging = quote_relation(order.staging)
        staged = columns_of(cursor, order.staging) or {}
        self._names = [quote_identifier(staged[key].name) for key in changes.filled]
        self._keys = [quote_identifier(key.name) for key in checks.keys]
        self._has = table

    def change(self) -> None:
        order = self._order
        if order.replaces_window and order.window is not None and self._checks.cursor is not None:
            held = self._has.get(self._checks.cursor.name.lower(), self._checks.cursor)
            self._cursor.execute(f"DELETE FROM {self._table} WHERE {self._checks.window('', held)}")
        match order.strategy:
            case IncrementalStrategy.MERGE:
                self._merge()
            case IncrementalStrategy.DELETE_INSERT if self._keys:
                self._cursor.execute(
                    f"DELETE FROM {self._table} AS t USING {self._staging} AS s WHERE {self._matches()}"
                )
                self._insert()
            case _:
                self._insert()

    def _matches(self) -> str:
        return " AND ".join(f"t.{key} = s.{key}" for key in self._keys)

    def _insert(self) -> None:
        names = ", ".join(self._names)
        self._cursor.execute(f"INSERT INTO {self._table} ({names}) SELECT {names} FROM {self._staging}")

    def _merge(self) -> None:
        excluded = _lower((*self._order.unique_key, *self._order.merge_exclude))
        updates = ", ".join(f"{name} = s.{name}" for name in self._names if name[1:-1].lower() not in excluded)
        matched = f"WHEN MATCHED THEN UPDATE SET {updates} " if updates else ""
        values = ", ".join(f"s.{name}" for name in self._names)
        self._cursor.execute(
            f"MERGE INTO {self._table} AS t USING {self._staging} AS s ON {self._matches()} {matched}"
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(self._names)}) VALUES ({values})"
        )


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
