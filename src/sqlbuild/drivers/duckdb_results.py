"""Rows and Arrow batches of one DuckDB statement, read forward on worker threads."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import duckdb

from sqlbuild.drivers.duckdb_errors import translated, translated_batches
from sqlbuild.drivers.statement_threads import INTERRUPT_EVERY_SECONDS, StatementThreads
from sqlbuild.errors import MissingExtra, WarehouseError

T = TypeVar("T")
Row = tuple[Any, ...]
StatementParameters = list[object] | tuple[object, ...] | dict[str, object] | None

PAGE_ROWS = 1_000
"""Turning more rows than this into Python objects at once keeps the event loop waiting for the interpreter."""
BATCH_ROWS = 65_536
CLOSE_SECONDS = 2.0


class OpenCursor:
    """A cursor with the rest of a statement's result. `ended` tells that it was closed because it was read whole."""

    __slots__ = ("_cursor", "_forget", "_reader", "_reading", "_threads", "ended", "sql")

    def __init__(self, threads: StatementThreads, cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
        self._threads = threads
        self._cursor: duckdb.DuckDBPyConnection | None = cursor
        self._reader: Any = None
        self._reading = False
        self._forget: Callable[[], None] | None = None
        self.ended = False
        self.sql = sql

    @property
    def closed(self) -> bool:
        return self._cursor is None

    def when_closed(self, forget: Callable[[], None]) -> None:
        """`forget` is called once, on whatever thread closes it."""
        self._forget = forget

    async def read(self, step: Callable[[], T]) -> T:
        """Run one step of reading on a thread; the cursor is closed if it fails or is cancelled."""
        if self._cursor is None:
            raise WarehouseError("this result was closed before it was read to its end", sql=self.sql)
        if self._reading:
            raise WarehouseError("two tasks read one result at the same time", help="issue one query for each task")
        self._reading = True
        try:
            value = await self._threads.run(step, interrupter(self._cursor))
        except BaseException:
            self._reading = False
            await self.close()
            raise
        self._reading = False
        return value

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            while self._reading and self._cursor is not None:
                interrupter(self._cursor)()
                await anyio.sleep(INTERRUPT_EVERY_SECONDS)
            cursor, reader = self._let_go()
            if cursor is not None:
                await self._threads.run(lambda: close_cursor(cursor, reader), interrupter(cursor))

    def abandon(self) -> None:
        cursor, reader = self._let_go()
        if cursor is not None:
            self._threads.post(lambda: close_cursor(cursor, reader))

    def _let_go(self) -> tuple[duckdb.DuckDBPyConnection | None, Any]:
        cursor, self._cursor = self._cursor, None
        reader, self._reader = self._reader, None
        forget, self._forget = self._forget, None
        if forget is not None:
            forget()
        return cursor, reader

    # What follows runs on a worker thread.

    def _end(self) -> None:
        self.ended = True
        close_cursor(*self._let_go())

    def start_rows(self, parameters: StatementParameters) -> tuple[tuple[str, ...], list[Row]]:
        """Column names and the first page; a result that ends with it is closed at once."""
        assert self._cursor is not None
        with translated(self.sql):
            if self._cursor.execute(self.sql, parameters) is None:
                raise WarehouseError("the statement is empty", sql=self.sql)
            columns = tuple(column[0] for column in self._cursor.description)
        return columns, self.next_rows(PAGE_ROWS)

    def next_rows(self, limit: int | None) -> list[Row]:
        """Whole pages up to at least `limit` rows, all without it."""
        rows: list[Row] = []
        with translated(self.sql):
            while (cursor := self._cursor) is not None and (limit is None or len(rows) < limit):
                page = cursor.fetchmany(PAGE_ROWS)
                rows += page
                if len(page) < PAGE_ROWS:
                    self._end()
                else:
                    time.sleep(0)  # lets the event loop have the interpreter between two pages
        return rows

    def start_batches(self, parameters: StatementParameters) -> tuple[tuple[str, ...], list[Any]]:
        """Column names and the first Arrow batches; a result that ends with them is closed at once."""
        assert self._cursor is not None
        with translated(self.sql):
            relation = self._cursor.sql(self.sql, params=parameters)
            if relation is None:
                raise WarehouseError("the statement is empty", sql=self.sql)
            columns = tuple(relation.columns)
            try:
                with translated_batches(self.sql):
                    self._reader = relation.to_arrow_reader(BATCH_ROWS)
            except ImportError as error:
                raise MissingExtra("Arrow results need pyarrow", help="pip install 'sqlbuild[arrow]'") from error
        schema = self._reader.schema
        return columns, self.next_batches() or [_empty_batch(schema)]

    def next_batches(self) -> list[Any]:
        """Arrow batches of about `BATCH_ROWS` rows together; none at the end, when the cursor is closed."""
        batches: list[Any] = []
        rows = 0
        with translated_batches(self.sql):
            while self._reader is not None and rows < BATCH_ROWS:
                batch = next(self._reader, None)
                if batch is None:
                    self._end()
                else:
                    batches.append(batch)
                    rows += batch.num_rows
        return batches


class RowResult:
    """`sqlbuild.interfaces.warehouse.OpenResult` over rows."""

    __slots__ = ("__weakref__", "_columns", "_cursor", "_next", "_rows")

    def __init__(self, cursor: OpenCursor, columns: tuple[str, ...], rows: list[Row]) -> None:
        self._cursor = cursor
        self._columns = columns
        self._rows = rows
        self._next = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    @property
    def closed(self) -> bool:
        return self._cursor.closed

    async def fetch(self, limit: int | None = None) -> list[Row]:
        left = len(self._rows) - self._next
        if not self._cursor.ended and (limit is None or left < limit):
            missing = None if limit is None else limit - left
            more = await self._cursor.read(lambda: self._cursor.next_rows(missing))
            self._rows = self._rows[self._next :] + more
            self._next = 0
        end = len(self._rows) if limit is None else min(self._next + limit, len(self._rows))
        rows = self._rows[self._next : end]
        if end == len(self._rows):
            self._rows, self._next = [], 0
        else:
            self._next = end
        return rows

    async def fetch_batch(self, rows: int) -> Any:
        raise WarehouseError("this result was opened for rows", help="ask for batches when the query is made")

    async def close(self) -> None:
        await self._cursor.close()

    def abandon(self) -> None:
        self._cursor.abandon()


class BatchResult:
    """`sqlbuild.interfaces.warehouse.OpenResult` over Arrow batches."""

    __slots__ = ("__weakref__", "_batches", "_columns", "_cursor", "_offset")

    def __init__(self, cursor: OpenCursor, columns: tuple[str, ...], batches: list[Any]) -> None:
        self._cursor = cursor
        self._columns = columns
        self._batches = batches
        self._offset = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    @property
    def closed(self) -> bool:
        return self._cursor.closed

    async def fetch(self, limit: int | None = None) -> list[Row]:
        raise WarehouseError("this result was opened for Arrow batches", help="read it with fetch_batch")

    async def fetch_batch(self, rows: int) -> Any:
        if not self._batches and not self._cursor.ended:
            self._batches = await self._cursor.read(self._cursor.next_batches)
        if not self._batches:
            return None
        part = self._batches[0].slice(self._offset, rows)
        self._offset += part.num_rows
        if self._offset == self._batches[0].num_rows:
            del self._batches[0]
            self._offset = 0
        return part

    async def close(self) -> None:
        await self._cursor.close()

    def abandon(self) -> None:
        self._cursor.abandon()


def interrupter(cursor: duckdb.DuckDBPyConnection) -> Callable[[], None]:
    """Stops what `cursor` runs; does nothing when it runs nothing or is closed."""

    def interrupt() -> None:
        with contextlib.suppress(duckdb.Error):
            cursor.interrupt()

    return interrupt


def close_cursor(cursor: duckdb.DuckDBPyConnection | None, reader: Any = None) -> None:
    """On a worker thread. A cursor that the author's code still works with is interrupted and waited for."""
    if reader is not None:
        reader.close()
    deadline = time.monotonic() + CLOSE_SECONDS
    while cursor is not None:
        try:
            cursor.close()
            return
        except duckdb.Error:
            if time.monotonic() > deadline:
                return
            interrupter(cursor)()
            time.sleep(INTERRUPT_EVERY_SECONDS)


def _empty_batch(schema: Any) -> Any:
    """The reader has loaded pyarrow; this package itself never imports it."""
    return importlib.import_module("pyarrow").RecordBatch.from_pylist([], schema=schema)
