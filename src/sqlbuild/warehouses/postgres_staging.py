"""The staging table of one load in PostgreSQL: it grows with the rows that come, each batch in one transaction.

add_as_they_are   dicts like those before, see `postgres_dicts`
add               any batch, wholly or not at all
  _make_room      new columns, wider types
  _copy           binary COPY right into it,
  cast_rows       or beside it where the server has to cast (see `postgres_casting`)
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.drivers.postgres_copy import UnsendableValue, copy_rows, refusal
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.loading import LoadOrder
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_casting import cast_rows
from sqlbuild.warehouses.postgres_columns import TableColumn, column_name, columns_of, kind_of
from sqlbuild.warehouses.postgres_dicts import RowShape
from sqlbuild.warehouses.postgres_refusals import refused
from sqlbuild.warehouses.postgres_rows import Given, outgoing, unsendable, with_large_numbers
from sqlbuild.warehouses.postgres_types import common

ROW_COLUMN = "_sqlbuild_row"
"""The number of a row in its load, where that matters."""


class StagingTable:
    """Everything that is awaited runs on the home loop."""

    def __init__(self, order: LoadOrder) -> None:
        self.relation = dataclasses.replace(order.relation, name=order.staging)
        self.columns: dict[str, TableColumn] = {}
        """By lower-cased name; none before there is a table."""
        self.rows = 0
        self.all_null: dict[str, str] = {}
        """Names of columns that had no value in some batch, by lower-cased name."""
        self.unlogged = False
        self._order = order
        self._declared = {column.name.lower(): column for column in order.columns}
        self._rows_without_columns = 0
        """Rows before the first value: they get into the table once it has a column."""
        self._made_by: Any = None
        """The connection that has made the table."""
        self._copied_by: Any = None
        """The connection that has copied into the table last, if its columns are still those."""

    @property
    def name(self) -> str:
        return quote_relation(self.relation)

    @property
    def has_row_numbers(self) -> bool:
        return self._order.strategy is WriteStrategy.MERGE

    async def add(self, raw: Any, given: Mapping[str, Given | None], rows: int) -> None:
        """Raises WarehouseError naming column and row of what the table cannot hold."""
        for name in given:
            self._check_declared(name)
        try:
            await self._add(raw, given, rows)
        except UnsendableValue:
            larger = with_large_numbers(given)
            if larger is None:
                raise
            await self._add(raw, larger, rows)
        for name, column in given.items():
            if column is None:
                self.all_null.setdefault(name.lower(), name)
        self.rows += rows

    async def add_as_they_are(self, raw: Any, shape: RowShape, dicts: Sequence[Mapping[str, Any]]) -> bool:
        """Whether that could be; if not, nothing has happened."""
        first = self.rows + 1
        rows: Iterable[tuple[Any, ...]] = itertools.chain.from_iterable(shape.rows(dicts))
        names = shape.names
        if self.has_row_numbers:
            rows = map(operator.add, rows, zip(range(first, first + len(dicts))))
            names = [*names, ROW_COLUMN]
        try:
            async with raw.transaction():
                await self._copy_rows(raw, names, rows)
        except UnsendableValue:
            return False
        except WarehouseError as error:
            if refusal(error).is_about_data:
                return False
            raise
        self.rows += len(dicts)
        return True

    async def create_empty(self, raw: Any) -> None:
        """For a load without rows; without declared types there is no table."""
        async with raw.transaction():
            columns = await self._create(raw, {})
        self.columns = columns

    async def is_surely_whole(self, raw: Any) -> bool:
        """Whether no row can have got lost. A server that crashes forgets what was not in its log, and ends every
        connection: the one that has made the table would not be there."""
        if raw is not self._made_by:
            return False
        return bool(raw.get_server_pid() == await raw.fetchval("SELECT pg_backend_pid()"))

    def _check_declared(self, name: str) -> None:
        if self._order.enforced and name.lower() not in self._declared:
            raise WarehouseError(
                f"the column {name} is not declared, and the contract is enforced",
                help='declare it in `columns`, leave it out of the rows, or set contract "none"',
            )

    async def _add(self, raw: Any, given: Mapping[str, Given | None], rows: int) -> None:
        known = {name: column for name, column in given.items() if column is not None}
        async with raw.transaction():
            columns = await self._make_room(raw, {name: column.type for name, column in known.items()})
            if columns != self.columns:
                self._copied_by = None
            if not columns:
                self._rows_without_columns += rows
            elif not known:
                await self._insert_empty_rows(raw, columns, rows)
            else:
                await self._copy(raw, columns, known, rows)
        self.columns = columns

    async def _make_room(self, raw: Any, types: Mapping[str, str]) -> dict[str, TableColumn]:
        """The columns of the staging table, which can hold values of these types."""
        if not self.columns:
            return await self._create(raw, types)
        changes: list[str] = []
        for name, given in types.items():
            held = self.columns.get(name.lower())
            if held is None:
                type_ = self._declared_type(name) or given
                changes.append(f"ADD COLUMN {quote_identifier(name)} {type_}")
            elif not held.declared and held.type != given:
                both = common(held.type, given)
                if both is None:
                    raise WarehouseError(
                        f"column {name}: earlier rows of this load are {held.type}, later ones {given}",
                        help="declare the column's type, so that all values are cast to it, or give them one type",
                    )
                if both != held.type:
                    changes.append(f"ALTER COLUMN {quote_identifier(held.name)} TYPE {both}")
        if not changes:
            return self.columns
        await self._define(raw, f"ALTER TABLE {self.name} {', '.join(changes)}")
        return await self._read_columns(raw)

    async def _create(self, raw: Any, types: Mapping[str, str]) -> dict[str, TableColumn]:
        """Make the table of all columns whose types are known; without any there is none yet."""
        columns = {key: (column_name(each.name), each.type) for key, each in self._declared.items() if each.type}
        for name, given in types.items():
            columns.setdefault(name.lower(), (name, given))
        if not columns:
            return {}
        # A column that is declared without a type stands where it was declared.
        order = [*self._declared, *columns]
        in_order = [columns[key] for key in dict.fromkeys(order) if key in columns]
        listed = [f"{quote_identifier(name)} {type_}" for name, type_ in in_order]
        if self.has_row_numbers:
            listed.append(f"{quote_identifier(ROW_COLUMN)} bigint")
        # Rows that will only be read from here need not be in the server's log.
        self.unlogged = self._order.strategy is not WriteStrategy.TABLE and (
            self.has_row_numbers or await kind_of(raw, self._order.relation) is not None
        )
        await raw.execute(f"DROP TABLE IF EXISTS {self.name}")
        kind = "UNLOGGED TABLE" if self.unlogged else "TABLE"
        await self._define(raw, f"CREATE {kind} {self.name} ({', '.join(listed)})")
        self._made_by = raw
        made = await self._read_columns(raw)
        if self._rows_without_columns:
            await self._insert_empty_rows(raw, made, self._rows_without_columns)
        return made

    async def _define(self, raw: Any, sql: str) -> None:
        """Run a statement with declared types in it."""
        try:
            async with raw.transaction():
                with translated(sql):
                    await raw.execute(sql)
        except WarehouseError as error:
            if refusal(error).is_about_data:
                await self._blame_type(raw)
            raise

    async def _blame_type(self, raw: Any) -> None:
        """Raise an error that names the column whose declared type is none; return if all are."""
        for column in self._order.columns:
            if column.type:
                try:
                    async with raw.transaction():
                        with translated():
                            await raw.execute(f"SELECT CAST(NULL AS {column.type})")
                except WarehouseError as error:
                    raise WarehouseError(
                        f"column {column.name}: {refusal(error).message}",
                        help="declare a type of PostgreSQL, such as bigint, double precision, numeric(10, 2) or text",
                    ) from None

    async def _read_columns(self, raw: Any) -> dict[str, TableColumn]:
        """In PostgreSQL's own spelling."""
        return {
            key: dataclasses.replace(column, declared=self._declared_type(key) is not None)
            for key, column in (await columns_of(raw, self.relation)).items()
            if key != ROW_COLUMN
        }

    def _declared_type(self, name: str) -> str | None:
        declared = self._declared.get(name.lower())
        return declared.type if declared is not None else None

    async def _insert_empty_rows(self, raw: Any, columns: Mapping[str, TableColumn], rows: int) -> None:
        column = quote_identifier(next(iter(columns.values())).name)
        await raw.execute(f"INSERT INTO {self.name} ({column}) SELECT NULL FROM generate_series(1, {rows})")

    async def _copy(self, raw: Any, columns: Mapping[str, TableColumn], known: Mapping[str, Given], rows: int) -> None:
        first = self.rows + 1
        sent = [
            outgoing(given, columns[name.lower()], f"c{index}", row_type=self.name, first_row=first)
            for index, (name, given) in enumerate(known.items())
        ]
        numbers = range(first, first + rows)
        try:
            if any(column.cast for column in sent):
                await cast_rows(raw, self.relation, sent, numbers, ROW_COLUMN if self.has_row_numbers else "")
                return
            names = [column.held.name for column in sent]
            values: list[Iterable[Any]] = [column.values for column in sent]
            if self.has_row_numbers:
                names.append(ROW_COLUMN)
                values.append(numbers)
            await self._copy_rows(raw, names, zip(*values, strict=True))
        except UnsendableValue as error:
            if with_large_numbers(known) is not None:
                raise
            raise unsendable(sent, first, error) from None
        except WarehouseError as error:
            told = refused(error, sent, first)
            if told is None:
                raise
            raise told from None

    async def _copy_rows(self, raw: Any, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        place = self.relation
        await copy_rows(raw, place.schema, place.name, names, rows, types_are_known=self._copied_by is raw)
        self._copied_by = raw
