"""Staged rows get into their table: one transaction that also says so in `_sqlbuild_commits`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.domain.record import record
from sqlbuild.drivers.duckdb_blocking import BlockingCursor
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.loading import Loaded, LoadOrder
from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.duckdb_commits import mark
from sqlbuild.warehouses.duckdb_types import common, fits, wider

_COLUMNS = """
SELECT column_name, data_type FROM duckdb_columns()
WHERE lower(table_name) = lower(?) AND lower(schema_name) = lower(?)
    AND lower(database_name) = lower(coalesce(nullif(?, ''), current_database()))
ORDER BY column_index
"""
_IS_VIEW = """
SELECT count(*) FROM duckdb_views()
WHERE lower(view_name) = lower(?) AND lower(schema_name) = lower(?)
    AND lower(database_name) = lower(coalesce(nullif(?, ''), current_database()))
"""


@record(frozen=True, slots=True)
class LoadColumn:
    """A column of a table; `declared`: its type was written by the author."""

    name: str
    type: str
    declared: bool = False


@record(frozen=True, slots=True, kw_only=True)
class StagedTable:
    """All rows of a load. `name` is quoted; without `columns` there is no table. Columns are by lower-cased name."""

    name: str
    columns: Mapping[str, LoadColumn]
    rows: int
    all_null: Mapping[str, str]
    """Names of columns without a type, because none of their values is known."""


def columns_of(cursor: BlockingCursor, relation: Relation) -> dict[str, LoadColumn] | None:
    """The columns of a table or view, by lower-cased name; None if there is none."""
    rows = cursor.rows(_COLUMNS, [relation.name, relation.schema, relation.database])
    return {str(name).lower(): LoadColumn(str(name), str(type_)) for name, type_ in rows} or None


def is_view(cursor: BlockingCursor, relation: Relation) -> bool:
    return bool(cursor.rows(_IS_VIEW, [relation.name, relation.schema, relation.database])[0][0])


def apply_load(cursor: BlockingCursor, order: LoadOrder, staged: StagedTable, commit: CommitMarker) -> Loaded:
    """Raises WarehouseError for what does not fit; then nothing has happened."""
    if staged.rows:
        _check(cursor, order, staged)
    failpoint("load.staged")
    with cursor.transaction():
        loaded = _Apply(cursor, order, staged).run()
        cursor.execute(*mark(commit))
        failpoint("load.applied")
    failpoint("load.committed")
    return loaded


def _check(cursor: BlockingCursor, order: LoadOrder, staged: StagedTable) -> None:
    """What must hold of the staged rows, whatever is in the table."""
    if not staged.columns:
        raise WarehouseError(
            f"all values of all {staged.rows:,} rows are NULL, so that no column has a type",
            help="declare `columns` with their types",
        )
    if order.cursor_column is not None:
        _check_named(staged, order.cursor_column, "cursor_column")
    for name in order.unique_key:
        _check_named(staged, name, "unique_key")
    known = {}
    if order.strategy is WriteStrategy.DELETE_INSERT and order.cursor_column is not None:
        known[order.cursor_column] = "it is the cursor column"
    if order.strategy is WriteStrategy.MERGE:
        known |= dict.fromkeys(order.unique_key, "it belongs to the unique key")
    if order.enforced:
        known |= {each.name: "it is declared not nullable" for each in order.columns if each.nullable is False}
    for name, why in known.items():
        held = staged.columns.get(name.lower())
        nulls = staged.rows
        if held is not None:
            counted = cursor.rows(f"SELECT count(*) FROM {staged.name} WHERE {quote_identifier(held.name)} IS NULL")
            nulls = int(counted[0][0])
        if nulls:
            raise WarehouseError(f"column {name} is NULL in {nulls:,} of {staged.rows:,} rows, but {why}")


def _check_named(staged: StagedTable, name: str, setting: str) -> None:
    if name.lower() not in staged.columns and name.lower() not in staged.all_null:
        shown = ", ".join(column.name for column in staged.columns.values())
        raise WarehouseError(f"{setting} {name}: the rows have no such column", help=f"their columns are {shown}")


class _Apply:
    """Within the transaction."""

    def __init__(self, cursor: BlockingCursor, order: LoadOrder, staged: StagedTable) -> None:
        self._cursor = cursor
        self._order = order
        self._staged = staged
        self._relation = order.relation
        self._table = quote_relation(order.relation)
        self._added: list[str] = []
        self._widened: list[str] = []
        self._types: dict[str, str] = {}
        """Of the table's columns, as they are when the rows come."""

    def run(self) -> Loaded:
        if self._order.whole:
            return self._replace_whole()
        target = self._target()
        staged, strategy = self._staged, self._order.strategy
        if not staged.rows:
            self._without_rows(target)
        elif target is None:
            self._first(strategy)
        elif strategy is WriteStrategy.TABLE:
            self._replace(target)
        else:
            self._evolve(target)
            match strategy:
                case WriteStrategy.DELETE_INSERT:
                    self._delete_range()
                    self._insert(staged.name)
                case WriteStrategy.MERGE:
                    self._merge()
                case _:
                    self._insert(staged.name)
            self._cursor.execute(f"DROP TABLE {staged.name}")
        known = {*(target or ()), *staged.columns}
        return Loaded(
            rows=staged.rows,
            has_table=target is not None or bool(staged.columns),
            added_columns=tuple(self._added),
            widened_columns=tuple(self._widened),
            left_out_columns=tuple(name for key, name in staged.all_null.items() if key not in known),
        )

    def _replace_whole(self) -> Loaded:
        word = "VIEW" if is_view(self._cursor, self._relation) else "TABLE"
        self._cursor.execute(f"DROP {word} IF EXISTS {self._table}")
        self._rename()
        return Loaded(rows=self._staged.rows, has_table=True)

    def _target(self) -> dict[str, LoadColumn] | None:
        if is_view(self._cursor, self._relation):
            raise WarehouseError(
                f"{self._relation} is a view, and a loader fills a table",
                help="drop the view, or give the source another table",
            )
        return columns_of(self._cursor, self._relation)

    def _without_rows(self, target: Mapping[str, LoadColumn] | None) -> None:
        """An empty table of the columns that are known, if there was none."""
        if target is not None:
            if self._order.strategy is WriteStrategy.TABLE:
                self._cursor.execute(f"DELETE FROM {self._table}")
            if self._staged.columns:
                self._cursor.execute(f"DROP TABLE {self._staged.name}")
        elif self._staged.columns:
            self._rename()

    def _first(self, strategy: WriteStrategy) -> None:
        if strategy is not WriteStrategy.MERGE:
            self._rename()
            return
        self._cursor.execute(f"CREATE TABLE {self._table} AS {self._one_of_each_key()}")
        self._cursor.execute(f"DROP TABLE {self._staged.name}")

    def _replace(self, target: Mapping[str, LoadColumn]) -> None:
        for key, name in self._staged.all_null.items():
            if key in target:
                # It keeps the type it had when there were values.
                column = f"{quote_identifier(name)} {target[key].type}"
                self._cursor.execute(f"ALTER TABLE {self._staged.name} ADD COLUMN {column}")
        self._cursor.execute(f"DROP TABLE {self._table}")
        self._rename()

    def _rename(self) -> None:
        self._cursor.execute(f"ALTER TABLE {self._staged.name} RENAME TO {quote_identifier(self._relation.name)}")

    def _evolve(self, target: Mapping[str, LoadColumn]) -> None:
        """Make the table hold the staged columns: new ones are added, types only become wider."""
        for key, column in self._staged.columns.items():
            held = target.get(key)
            if held is None:
                self._cursor.execute(
                    f"ALTER TABLE {self._table} ADD COLUMN {quote_identifier(column.name)} {column.type}"
                )
                self._added.append(column.name)
                self._types[key] = column.type
                continue
            self._types[key] = held.type
            if fits(column.type, held.type):
                continue
            # A type that the author has written may change more than one that was found in the values.
            both = (common if column.declared else wider)(held.type, column.type)
            if both is None:
                raise self._conflict(column, held)
            quoted = quote_identifier(held.name)
            self._cursor.execute(f"ALTER TABLE {self._table} ALTER COLUMN {quoted} SET DATA TYPE {both}")
            self._widened.append(f"{held.name}: {held.type} to {both}")
            self._types[key] = both

    def _conflict(self, column: LoadColumn, held: LoadColumn) -> WarehouseError:
        if column.declared:
            help = (
                f"declare `type: {held.type}`, or change the table: ALTER TABLE {self._relation} "
                f"ALTER {held.name} SET DATA TYPE {column.type}"
            )
        else:
            help = f"declare `type: {held.type}` for the column, so that values are cast, or convert them in the loader"
        return WarehouseError(
            f"column {column.name}: {self._relation} has {held.type}, the new rows have {column.type}", help=help
        )

    def _values(self) -> dict[str, str]:
        """Quoted name -> the expression that casts the staged value to the table's type."""
        return {
            quote_identifier(column.name): quote_identifier(column.name)
            if column.type == self._types[key]
            else f"CAST({quote_identifier(column.name)} AS {self._types[key]})"
            for key, column in self._staged.columns.items()
        }

    def _insert(self, source: str) -> None:
        values = self._values()
        self._cursor.execute(
            f"INSERT INTO {self._table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {source}"
        )

    def _delete_range(self) -> None:
        assert self._order.cursor_column is not None
        column = quote_identifier(self._order.cursor_column)
        low, high = (f"(SELECT {end}({column}) FROM {self._staged.name})" for end in ("min", "max"))
        self._cursor.execute(f"DELETE FROM {self._table} WHERE {column} >= {low} AND {column} <= {high}")

    def _merge(self) -> None:
        keys = [quote_identifier(name) for name in self._order.unique_key]
        values = self._values()
        selected = ", ".join(f"{value} AS {name}" for name, value in values.items())
        matches = " AND ".join(f"t.{key} = s.{key}" for key in keys)
        lower = {key.lower() for key in keys}
        updates = ", ".join(f"{name} = s.{name}" for name in values if name.lower() not in lower)
        update = f"WHEN MATCHED THEN UPDATE SET {updates} " if updates else ""
        inserted = ", ".join(f"s.{name}" for name in values)
        self._cursor.execute(
            f"MERGE INTO {self._table} AS t USING (SELECT {selected} FROM ({self._one_of_each_key()})) AS s "
            f"ON {matches} {update}WHEN NOT MATCHED THEN INSERT ({', '.join(values)}) VALUES ({inserted})"
        )

    def _one_of_each_key(self) -> str:
        """Of several staged rows with one key the one with the highest cursor, else the last one."""
        keys = ", ".join(quote_identifier(name) for name in self._order.unique_key)
        newest = "rowid DESC"
        if self._order.cursor_column is not None:
            newest = f"{quote_identifier(self._order.cursor_column)} DESC NULLS LAST, {newest}"
        return (
            f"SELECT * FROM {self._staged.name} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest}) = 1"
        )
