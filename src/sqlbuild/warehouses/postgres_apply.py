"""Staged rows get into their table: one transaction that also says so in `_sqlbuild_commits`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.loading import Loaded, LoadOrder
from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_columns import TableColumn, columns_of, kind_of
from sqlbuild.warehouses.postgres_commits import MarkedTransaction
from sqlbuild.warehouses.postgres_lock_waits import LockWait
from sqlbuild.warehouses.postgres_replacing import altered
from sqlbuild.warehouses.postgres_staging import ROW_COLUMN, StagingTable
from sqlbuild.warehouses.postgres_swap import put_in_place
from sqlbuild.warehouses.postgres_types import common, fits, wider

_VIEWS = ("v", "m")


async def apply_load(
    raw: Any,
    order: LoadOrder,
    staging: StagingTable,
    commit: CommitMarker,
    wait: LockWait,
    transaction: MarkedTransaction,
) -> Loaded:
    """Raises WarehouseError for what does not fit; then nothing has happened."""
    if staging.rows:
        await _check(raw, order, staging)
    failpoint("load.staged")
    async with raw.transaction():
        await wait.alone(raw)
        loaded = await _Apply(raw, order, staging, wait).run()
        await transaction.mark(raw, commit, loaded)
        failpoint("load.applied")
    transaction.committed()
    failpoint("load.committed")
    return loaded


async def _check(raw: Any, order: LoadOrder, staging: StagingTable) -> None:
    """What must hold of the staged rows, whatever is in the table."""
    if not staging.columns:
        raise WarehouseError(
            f"all values of all {staging.rows:,} rows are NULL, so that no column has a type",
            help="declare `columns` with their types",
        )
    if order.cursor_column is not None:
        _check_named(staging, order.cursor_column, "cursor_column")
    for name in order.unique_key:
        _check_named(staging, name, "unique_key")
    known = {}
    if order.strategy is WriteStrategy.DELETE_INSERT and order.cursor_column is not None:
        known[order.cursor_column] = "it is the cursor column"
    if order.strategy is WriteStrategy.MERGE:
        known |= dict.fromkeys(order.unique_key, "it belongs to the unique key")
    if order.enforced:
        known |= {each.name: "it is declared not nullable" for each in order.columns if each.nullable is False}
    held = [staging.columns.get(name.lower()) for name in known]
    if not known and await staging.is_surely_whole(raw):
        return
    counts = ["count(*)", *("0" if column is None else f"count({quote_identifier(column.name)})" for column in held)]
    async with raw.transaction():
        rows, *counted = await raw.fetchrow(f"SELECT {', '.join(counts)} FROM {staging.name}")
    if rows != staging.rows:
        # A server that has crashed forgets what was not in its log.
        raise WarehouseError(
            f"{staging.rows - rows:,} of {staging.rows:,} rows are gone that were sent: the server has crashed meanwhile",
            help="load them again",
            transient=True,
        )
    for (name, why), values in zip(known.items(), counted, strict=True):
        if values != rows:
            raise WarehouseError(f"column {name} is NULL in {rows - values:,} of {rows:,} rows, but {why}")


def _check_named(staging: StagingTable, name: str, setting: str) -> None:
    if name.lower() not in staging.columns and name.lower() not in staging.all_null:
        shown = ", ".join(column.name for column in staging.columns.values())
        raise WarehouseError(f"{setting} {name}: the rows have no such column", help=f"their columns are {shown}")


class _Apply:
    """Within the transaction."""

    def __init__(self, raw: Any, order: LoadOrder, staging: StagingTable, wait: LockWait) -> None:
        self._raw = raw
        self._wait = wait
        self._order = order
        self._staging = staging
        self._relation = order.relation
        self._table = quote_relation(order.relation)
        self._added: list[str] = []
        self._widened: list[str] = []
        self._held: dict[str, TableColumn] = {}
        """The table's columns that the rows have, as they are when the rows come."""

    async def run(self) -> Loaded:
        if self._order.whole:
            await self._put_in_place()
            return Loaded(rows=self._staging.rows, has_table=True)
        target = await self._target()
        staging = self._staging
        if not staging.rows:
            await self._without_rows(target)
        elif target is None:
            await self._first()
        elif self._order.strategy is WriteStrategy.TABLE:
            await self._replace(target)
        else:
            await self._evolve(target)
            match self._order.strategy:
                case WriteStrategy.DELETE_INSERT:
                    await self._delete_range()
                    await self._insert()
                case WriteStrategy.MERGE:
                    await self._merge()
                case _:
                    await self._insert()
            await self._do(f"DROP TABLE {staging.name}")
        known = {*(target or ()), *staging.columns}
        return Loaded(
            rows=staging.rows,
            has_table=target is not None or bool(staging.columns),
            added_columns=tuple(self._added),
            widened_columns=tuple(self._widened),
            left_out_columns=tuple(name for key, name in staging.all_null.items() if key not in known),
        )

    async def _do(self, sql: str) -> None:
        with translated(sql):
            await self._raw.execute(sql)

    async def _target(self) -> dict[str, TableColumn] | None:
        kind = await kind_of(self._raw, self._relation)
        if kind in _VIEWS:
            raise WarehouseError(
                f"{self._relation} is a view, and a loader fills a table",
                help="drop the view, or give the source another table",
            )
        return None if kind is None else await columns_of(self._raw, self._relation)

    async def _without_rows(self, target: Mapping[str, TableColumn] | None) -> None:
        """An empty table of the columns that are known, if there was none."""
        if target is None:
            if self._staging.columns:
                await self._first()
            return
        if self._order.strategy is WriteStrategy.TABLE:
            await self._do(f"DELETE FROM {self._table}")
        if self._staging.columns:
            await self._do(f"DROP TABLE {self._staging.name}")

    async def _first(self) -> None:
        await self._wait.name_types(self._raw)
        if self._staging.has_row_numbers:
            await self._keep_one_of_each_key()
            columns = ", ".join(quote_identifier(column.name) for column in self._staging.columns.values())
            await self._do(f"CREATE TABLE {self._table} AS SELECT {columns} FROM {self._staging.name}")
            await self._do(f"DROP TABLE {self._staging.name}")
        else:
            await self._rename()

    async def _replace(self, target: Mapping[str, TableColumn]) -> None:
        for key, name in self._staging.all_null.items():
            if key in target and key not in self._staging.columns:
                # It keeps the type it had when there were values.
                column = f"{quote_identifier(name)} {target[key].type}"
                await self._do(f"ALTER TABLE {self._staging.name} ADD COLUMN {column}")
        await self._put_in_place()

    async def _put_in_place(self) -> None:
        await self._log_it()
        async with self._wait.within(self._raw):
            await put_in_place(self._raw, self._staging.relation, self._relation, self._order.how)

    async def _log_it(self) -> None:
        if self._staging.unlogged:
            await self._do(f"ALTER TABLE {self._staging.name} SET LOGGED")

    async def _rename(self) -> None:
        await self._log_it()
        await self._do(f"ALTER TABLE {self._staging.name} RENAME TO {quote_identifier(self._relation.name)}")

    async def _evolve(self, target: Mapping[str, TableColumn]) -> None:
        """Make the table hold the staged columns: new ones are added, types only become wider."""
        changes: list[str] = []
        for key, column in self._staging.columns.items():
            held = target.get(key)
            if held is None:
                changes.append(f"ADD COLUMN {quote_identifier(column.name)} {column.type}")
                self._added.append(column.name)
                self._held[key] = column
                continue
            self._held[key] = held
            if fits(column.type, held.type):
                continue
            # A type that the author has written may change more than one that was found in the values.
            both = (common if column.declared else wider)(held.type, column.type)
            if both is None:
                raise self._conflict(column, held)
            changes.append(f"ALTER COLUMN {quote_identifier(held.name)} TYPE {both}")
            self._widened.append(f"{held.name}: {held.type} to {both}")
        statement = f"ALTER TABLE {self._table} {', '.join(changes)}"
        if self._widened:
            await self._widen(statement)
        elif changes:
            await self._do(statement)
        if self._widened:
            now = await columns_of(self._raw, self._relation)
            self._held = {key: now[key] for key in self._held}

    async def _widen(self, statement: str) -> None:
        """What the statement and those after it name need not be qualified, whatever `LockWait` has set."""
        path = "SELECT set_config('search_path', $1, true)"

        async def alter() -> None:
            await self._raw.execute(path, self._wait.search_path)
            await self._do(statement)
            await self._raw.execute(path, "")

        async with self._wait.within(self._raw):
            await altered(self._raw, self._relation, alter)
        await self._raw.execute(path, self._wait.search_path)

    def _conflict(self, column: TableColumn, held: TableColumn) -> WarehouseError:
        if column.declared:
            help = (
                f"declare `type: {held.type}`, or change the table: ALTER TABLE {self._relation} "
                f"ALTER COLUMN {held.name} TYPE {column.type}"
            )
        else:
            help = f"declare `type: {held.type}` for the column, so that values are cast, or convert them in the loader"
        return WarehouseError(
            f"column {column.name}: {self._relation} has {held.type}, the new rows have {column.type}", help=help
        )

    def _value(self, key: str) -> str:
        """The staged value of a column as one of the table's type; what is too long for it stays an error."""
        staged, held = self._staging.columns[key], self._held[key]
        name = f"s.{quote_identifier(staged.name)}"
        return name if staged.bare_type == held.bare_type else f"CAST({name} AS {held.bare_type})"

    async def _insert(self, where: str = "") -> None:
        names = ", ".join(quote_identifier(column.name) for column in self._held.values())
        values = ", ".join(map(self._value, self._held))
        await self._do(f"INSERT INTO {self._table} ({names}) SELECT {values} FROM {self._staging.name} AS s{where}")

    async def _delete_range(self) -> None:
        assert self._order.cursor_column is not None
        key = self._order.cursor_column.lower()
        staged, held = (quote_identifier(columns[key].name) for columns in (self._staging.columns, self._held))
        low, high = (f"(SELECT {end}({staged}) FROM {self._staging.name})" for end in ("min", "max"))
        await self._do(f"DELETE FROM {self._table} WHERE {held} >= {low} AND {held} <= {high}")

    async def _merge(self) -> None:
        # MERGE itself came with PostgreSQL 15, and would not be faster.
        await self._keep_one_of_each_key()
        keys = [name.lower() for name in self._order.unique_key]
        matches = " AND ".join(f"t.{quote_identifier(self._held[key].name)} = {self._value(key)}" for key in keys)
        updates = ", ".join(
            f"{quote_identifier(held.name)} = {self._value(key)}" for key, held in self._held.items() if key not in keys
        )
        if updates:
            await self._do(f"UPDATE {self._table} AS t SET {updates} FROM {self._staging.name} AS s WHERE {matches}")
        await self._insert(f" WHERE NOT EXISTS (SELECT FROM {self._table} AS t WHERE {matches})")

    async def _keep_one_of_each_key(self) -> None:
        """Of several staged rows with one key the one with the highest cursor, else the last one."""
        columns = self._staging.columns
        row = quote_identifier(ROW_COLUMN)
        keys = ", ".join(quote_identifier(columns[name.lower()].name) for name in self._order.unique_key)
        newest = f"{row} DESC"
        cursor = columns.get((self._order.cursor_column or "").lower())
        if cursor is not None:
            newest = f"{quote_identifier(cursor.name)} DESC NULLS LAST, {newest}"
        place = f"row_number() OVER (PARTITION BY {keys} ORDER BY {newest})"
        numbered = f"SELECT {row}, {place} AS place FROM {self._staging.name}"
        await self._do(
            f"DELETE FROM {self._staging.name} AS s USING ({numbered}) AS d WHERE s.{row} = d.{row} AND d.place > 1"
        )
        await self._do(f"ANALYZE {self._staging.name}")
