"""A warehouse for one test: an empty DuckDB in memory with the relations that the test gives."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import anyio

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.settings import Connection as ConnectionSettings
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import Connection, Extent, OpenResult, Parameters
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.duckdb import DuckDBWarehouse


class ArrowStream(Protocol):
    """An Arrow table, a polars or pandas dataframe, or whatever else hands its columns on in Arrow's format."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


Rows: TypeAlias = str | Iterable[Mapping[str, Any]] | ArrowStream
"""What a relation holds: a SELECT, dicts of column name and value, or a table or dataframe."""

SETTINGS = ConnectionSettings(name="test", adapter="duckdb", options={"database": ":memory:"})


_NOT_KNOWN = (
    *("Parser Error: ", "Binder Error: No function matches "),
    *("Catalog Error: Scalar Function ", "Catalog Error: Table Function ", "Catalog Error: Type "),
)
"""What DuckDB says first."""


class InMemoryWarehouse(DuckDBWarehouse):
    """Opens itself at the first statement, because that takes longer than most tests. Remembers every statement.

    Raises TypeError for rows that do not tell their columns.
    """

    def __init__(self, relations: Mapping[Relation, Rows]) -> None:
        super().__init__(SETTINGS, os.getcwd())
        self.statements: list[str] = []
        self._relations = {relation: _checked(relation, rows) for relation, rows in relations.items()}
        self._is_open = False
        self._for_loading = False
        self._opening: anyio.Lock | None = None

    async def open(self, *, read_only: bool = False) -> None:
        """Once. Raises WarehouseError for a SELECT that fails and for values that fit into no column."""
        self._opening = self._opening or anyio.Lock()
        async with self._opening:
            if self._is_open:
                return
            await super().open(read_only=read_only)
            self._is_open = True
            # Through the connections of the database itself: what is set up here is none of the node's statements.
            for relation, rows in self._relations.items():
                connection = super().connect()
                try:
                    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(relation.schema)}")
                    await _create(connection, relation, rows)
                finally:
                    await connection.close()

    async def close(self) -> None:
        if self._is_open:
            await super().close()

    async def rows_of(self, relation: Relation) -> tuple[dict[str, Any], ...]:
        """All that a table of the open warehouse holds; nothing if there is no such table."""
        if Relation("", relation.schema.lower(), relation.name.lower()) not in await self.relations():
            return ()
        connection = super().connect()
        try:
            result = await connection.query(f"SELECT * FROM {quote_relation(relation)}")
            return tuple(dict(zip(result.columns, row, strict=True)) for row in await result.fetch())
        finally:
            await connection.close()

    def connect(self) -> Connection:
        # What loads rows needs the driver's own connection.
        return super().connect() if self._for_loading else _OpeningConnection(self, super().connect())

    async def open_for_loading(self) -> None:
        """For a loader, which reads and writes anyway; its statements are not remembered."""
        self._for_loading = True
        await self.open()


class _OpeningConnection:
    """`sqlbuild.interfaces.warehouse.Connection` that opens its warehouse when there is something to do."""

    def __init__(self, warehouse: InMemoryWarehouse, connection: Connection) -> None:
        self._warehouse = warehouse
        self._connection = connection

    @property
    def raw(self) -> Any:
        return self._connection.raw

    @property
    def raw_is_async(self) -> bool:
        return self._connection.raw_is_async

    async def execute(self, sql: str, parameters: Parameters = None) -> None:
        await self._begin(sql)
        with _told_of_duckdb():
            await self._connection.execute(sql, parameters)

    async def query(
        self, sql: str, parameters: Parameters = None, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> OpenResult:
        await self._begin(sql)
        with _told_of_duckdb():
            return await self._connection.query(sql, parameters, arrow=arrow, extent=extent)

    async def execute_together(self, statements: Iterable[tuple[str, Parameters]]) -> None:
        together = list(statements)
        await self._begin(*(sql for sql, _ in together))
        await self._connection.execute_together(together)

    async def close(self) -> None:
        await self._connection.close()

    async def _begin(self, *statements: str) -> None:
        await self._warehouse.open()
        self._warehouse.statements += statements


@contextlib.contextmanager
def _told_of_duckdb() -> Iterator[None]:
    """SQL that DuckDB does not know may be that of another warehouse, for which the project is."""
    try:
        yield
    except WarehouseError as error:
        if not error.help and str(error.args[0]).startswith(_NOT_KNOWN):
            error.help = (
                "run_node runs SQL on a DuckDB in memory, whatever the project's target is; what only another warehouse "
                "understands is tested with the fixture sqb_project"
            )
        raise


def _checked(relation: Relation, rows: Rows) -> Rows:
    if isinstance(rows, str) or hasattr(rows, "__arrow_c_stream__"):
        return rows
    listed = list(rows) if isinstance(rows, Iterable) else []
    if not listed or not all(isinstance(row, Mapping) and row for row in listed):
        raise TypeError(
            f"the rows of {relation.name} are given as dicts of column name and value, as an Arrow table, a dataframe or "
            "a SELECT; without any row write a SELECT that tells the columns: `SELECT 1 AS order_id WHERE false`"
        )
    return listed


async def _create(connection: Connection, relation: Relation, rows: Rows) -> None:
    create = f"CREATE TABLE {quote_relation(relation)} AS"
    if isinstance(rows, str):
        await connection.execute(f"{create} {rows}")
    elif not isinstance(rows, list):
        # Only the driver's own object knows how to look into what is no SQL.
        connection.raw.register("given", rows)
        connection.raw.execute(f"{create} SELECT * FROM given")
        connection.raw.unregister("given")
    else:
        query, values = _values_query(rows)
        await connection.execute(f"{create} {query}", values)


def _values_query(rows: list[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    """A SELECT with a bound parameter for each value; a column that a row lacks is NULL in it."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    values = [[row.get(column) for column in columns] for row in rows]
    places = [f"c{index}" for index in range(len(columns))]
    # DuckDB gives a small bound number a small type, into which a sum or the next number would not fit.
    selected = [
        (f"CAST({place} AS BIGINT)" if _are_numbers(row[index] for row in values) else place)
        + f" AS {quote_identifier(column)}"
        for index, (place, column) in enumerate(zip(places, columns, strict=True))
    ]
    row_of_marks = f"({', '.join('?' * len(columns))})"
    given = f"(VALUES {', '.join([row_of_marks] * len(values))}) AS given({', '.join(places)})"
    return f"SELECT {', '.join(selected)} FROM {given}", [value for row in values for value in row]


def _are_numbers(values: Iterable[Any]) -> bool:
    """Whether they are whole numbers of at most 64 bits."""
    found = [value for value in values if value is not None]
    return bool(found) and all(type(value) is int and -(2**63) <= value < 2**63 for value in found)
