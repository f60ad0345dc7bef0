"""DuckDB as `sqlbuild.interfaces.loading.Loading`: rows go into a staging table that grows with them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import sys
from collections.abc import Mapping
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.drivers.duckdb import DuckDBConnection
from sqlbuild.drivers.duckdb_blocking import BlockingCursor
from sqlbuild.errors import RowRefused, WarehouseError
from sqlbuild.interfaces.loading import Loaded, LoadOrder, RowBatch
from sqlbuild.interfaces.warehouse import CommitMarker, Connection
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.duckdb_apply import LoadColumn, StagedTable, apply_load, columns_of
from sqlbuild.warehouses.duckdb_rows import Encoded, encode
from sqlbuild.warehouses.duckdb_types import NO_TYPE, common, is_float, is_whole_number

FEW_ROWS = 2_000
"""Of fewer the JSON form is as fast, and does not take the half second that pyarrow's first import takes."""
_ROWS = "_sqlbuild_rows"
"""The view by which a cursor reads the Arrow data of a batch."""


class DuckDBLoading:
    """`with_arrow`: rows of Python values are handed over as Arrow data, which is several times as fast; None: if
    pyarrow is installed."""

    dialect = "duckdb"

    def __init__(self, *, with_arrow: bool | None = None) -> None:
        self._with_arrow = with_arrow

    def begin(self, order: LoadOrder) -> DuckDBLoad:
        if self._with_arrow is None:
            self._with_arrow = importlib.util.find_spec("pyarrow") is not None
        return DuckDBLoad(order, with_arrow=self._with_arrow)

    async def highest(self, connection: Connection, relation: Relation, column: str) -> Any:
        return await _blocking(connection).blocking(functools.partial(_highest, relation=relation, column=column))

    async def has_relation(self, connection: Connection, relation: Relation) -> bool:
        found = await _blocking(connection).blocking(functools.partial(columns_of, relation=relation))
        return found is not None


class DuckDBLoad:
    """`sqlbuild.interfaces.loading.Load`."""

    def __init__(self, order: LoadOrder, *, with_arrow: bool) -> None:
        self._order = order
        self._with_arrow = with_arrow
        self._declared = {column.name.lower(): column for column in order.columns}
        self._stage = quote_relation(dataclasses.replace(order.relation, name=order.staging))
        self._columns: dict[str, LoadColumn] = {}
        """By lower-cased name, as the staging table has them; none before there is one."""
        self._all_null: dict[str, str] = {}
        """Names of columns that had no value yet, by lower-cased name."""
        self._rows = 0
        self._rows_without_columns = 0
        """Rows before the first value: they get into the table once it has a column."""

    async def add(self, connection: Connection, batch: RowBatch) -> None:
        await _blocking(connection).blocking(lambda cursor: self._add(cursor, batch))
        self._rows += batch.rows

    async def apply(self, connection: Connection, commit: CommitMarker) -> Loaded:
        return await _blocking(connection).blocking(lambda cursor: self._apply(cursor, commit))

    async def discard(self, connection: Connection) -> None:
        await connection.execute(f"DROP TABLE IF EXISTS {self._stage}")

    # What follows runs on a worker thread.

    def _apply(self, cursor: BlockingCursor, commit: CommitMarker) -> Loaded:
        if not self._columns:
            self._create(cursor, {})
        staged = StagedTable(
            name=self._stage,
            columns=self._columns,
            rows=self._rows,
            all_null={key: name for key, name in self._all_null.items() if key not in self._columns},
        )
        return apply_load(cursor, self._order, staged, commit)

    def _add(self, cursor: BlockingCursor, batch: RowBatch) -> None:
        with_arrow = self._with_arrow and (batch.rows > FEW_ROWS or "pyarrow" in sys.modules)
        encoded = encode(batch, with_arrow=with_arrow)
        names = batch.columns if batch.arrow is None else batch.arrow.schema.names
        for name in names:
            self._check_declared(name)
        with contextlib.nullcontext() if encoded.arrow is None else cursor.named(_ROWS, encoded.arrow):
            types = encoded.types if encoded.types is not None else _described(cursor)
            for name in names:
                if name not in types:
                    self._all_null.setdefault(name.lower(), name)
            self._make_room(cursor, types)
            self._insert(cursor, batch, encoded, types)

    def _check_declared(self, name: str) -> None:
        if self._order.enforced and name.lower() not in self._declared:
            raise WarehouseError(
                f"the column {name} is not declared, and the contract is enforced",
                help='declare it in `columns`, leave it out of the rows, or set contract "none"',
            )

    def _make_room(self, cursor: BlockingCursor, types: Mapping[str, str]) -> None:
        """Make the staging table hold columns of these types."""
        if not self._columns:
            self._create(cursor, types)
            return
        for name, given in types.items():
            held = self._columns.get(name.lower())
            if held is None:
                type_ = self._declared_type(name) or given
                cursor.execute(f"ALTER TABLE {self._stage} ADD COLUMN {quote_identifier(name)} {type_}")
                self._read_types(cursor)
            elif not held.declared and held.type != given:
                both = common(held.type, given)
                if both is None:
                    raise WarehouseError(
                        f"column {name}: earlier rows of this load are {held.type}, later ones {given}",
                        help="declare the column's type, so that all values are cast to it, or give them one type",
                    )
                if both != held.type:
                    quoted = quote_identifier(held.name)
                    cursor.execute(f"ALTER TABLE {self._stage} ALTER COLUMN {quoted} SET DATA TYPE {both}")
                    self._columns[name.lower()] = dataclasses.replace(held, type=both)

    def _create(self, cursor: BlockingCursor, types: Mapping[str, str]) -> None:
        """Make the staging table of all columns whose types are known; without any there is none yet."""
        columns = {column.name.lower(): (column.name, column.type) for column in self._order.columns if column.type}
        for name, given in types.items():
            columns.setdefault(name.lower(), (name, given))
        if not columns:
            return
        # A column that is declared without a type stands where it was declared.
        order = [*self._declared, *columns]
        in_order = [columns[key] for key in dict.fromkeys(order) if key in columns]
        listed = ", ".join(f"{quote_identifier(name)} {type_}" for name, type_ in in_order)
        cursor.execute(f"CREATE OR REPLACE TABLE {self._stage} ({listed})")
        self._read_types(cursor)
        if self._rows_without_columns:
            self._insert_empty_rows(cursor, self._rows_without_columns)

    def _read_types(self, cursor: BlockingCursor) -> None:
        """In DuckDB's own spelling."""
        self._columns = {
            str(name).lower(): LoadColumn(str(name), str(type_), self._declared_type(str(name)) is not None)
            for name, type_, *_ in cursor.rows(f"DESCRIBE {self._stage}")
        }

    def _declared_type(self, name: str) -> str | None:
        declared = self._declared.get(name.lower())
        return declared.type if declared is not None else None

    def _insert_empty_rows(self, cursor: BlockingCursor, rows: int) -> None:
        column = quote_identifier(next(iter(self._columns.values())).name)
        cursor.execute(f"INSERT INTO {self._stage} ({column}) SELECT NULL FROM range({rows})")

    def _insert(self, cursor: BlockingCursor, batch: RowBatch, encoded: Encoded, types: Mapping[str, str]) -> None:
        if not self._columns:
            self._rows_without_columns += batch.rows
            return
        if not types:
            self._insert_empty_rows(cursor, batch.rows)
            return
        source = encoded.rows_sql or _ROWS
        parameters: list[object] | None = None if encoded.text is None else [encoded.text]
        values = {name: encoded.values.get(name, quote_identifier(name)) for name in types}
        casts = {
            name: _cast(name, values[name], given, self._columns[name.lower()].type) for name, given in types.items()
        }
        listed = ", ".join(map(quote_identifier, types))
        sql = f"INSERT INTO {self._stage} ({listed}) SELECT {', '.join(casts.values())} FROM {source}"
        try:
            cursor.execute(sql, parameters)
        except WarehouseError as error:
            self._blame(cursor, types, values, f"FROM {source}", parameters, batch)
            raise error from None

    def _blame(
        self,
        cursor: BlockingCursor,
        types: Mapping[str, str],
        values: Mapping[str, str],
        source: str,
        parameters: list[object] | None,
        batch: RowBatch,
    ) -> None:
        """Raise an error that names the column and the first value that cannot be cast; return if none is to blame."""
        for name, given in types.items():
            held = self._columns[name.lower()].type
            if held == given:
                continue
            value = values[name]
            found = cursor.rows(
                f"SELECT CAST(v AS VARCHAR), n FROM (SELECT {value} AS v, row_number() OVER () AS n {source}) "
                f"WHERE v IS NOT NULL AND TRY_CAST(v AS {held}) IS NULL ORDER BY n LIMIT 1",
                parameters,
            )
            if found:
                shown = str(found[0][0])
                shown = repr(shown if len(shown) <= 60 else shown[:57] + "...")
                raise RowRefused(
                    f"column {name}: {shown} ({given}) is no {held}, the declared type",
                    batch.first_row + int(found[0][1]) - 1,
                    help="convert the values in the loader, or declare another type",
                )


def _blocking(connection: Connection) -> DuckDBConnection:
    assert isinstance(connection, DuckDBConnection)
    return connection


def _described(cursor: BlockingCursor) -> dict[str, str]:
    """Types of the columns of Arrow data, without those that have no values."""
    described = cursor.rows(f"DESCRIBE SELECT * FROM {_ROWS}")
    names = [str(name).lower() for name, *_ in described]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise WarehouseError(f"there are two columns called {twice}", help="rename one; case does not matter")
    return {str(name): str(type_) for name, type_, *_ in described if type_ != NO_TYPE}


def _cast(name: str, value: str, given: str, held: str) -> str:
    """A value of the type `given` as one of the type `held`; what would change it silently is an error."""
    if given == held and given != "JSON":
        return value
    if is_float(given) and is_whole_number(held):
        text = name.replace("'", "''")
        message = f"'column {text}: ' || {value} || ' is no whole number, the declared type is {held}'"
        return f"CASE WHEN {value} = trunc({value}) OR {value} IS NULL THEN CAST({value} AS {held}) ELSE error({message}) END"
    if given == "JSON" and held not in ("JSON", "VARCHAR"):
        return f"CAST(CAST({value} AS JSON) AS {held})"
    return f"CAST({value} AS {held})"


def _highest(cursor: BlockingCursor, *, relation: Relation, column: str) -> Any:
    columns = columns_of(cursor, relation)
    if columns is None:
        return None
    held = columns.get(column.lower())
    if held is None:
        shown = ", ".join(each.name for each in columns.values())
        raise WarehouseError(f"{relation} has no column {column}", help=f"its columns are {shown}")
    return cursor.rows(f"SELECT max({quote_identifier(held.name)}) FROM {quote_relation(relation)}")[0][0]
