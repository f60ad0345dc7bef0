"""Rows of a PostgreSQL query as Arrow batches, which a DuckDB in memory makes of the server's COPY.

ColumnarBatches     the batches of one COPY
ColumnarCursor      the connection that it runs on, until nothing is left to be read
ColumnarResult      the result, awaited on the run's loop; the others on the home loop
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from sqlbuild.drivers.embedded_duckdb import EmbeddedDuckDB, EmbeddedSession
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.drivers.postgres_loop import HomeLoop, InterruptibleCalls
from sqlbuild.drivers.postgres_server_copy import ROW_BYTES, CopiedQuery, QueryText, ServerCopy, copied_query
from sqlbuild.errors import WarehouseError


class ColumnarBatches:
    """Of a COPY that begins when this is made; `stop` whatever happens. `ended` tells that all were read."""

    def __init__(self, raw: Any, query: CopiedQuery, duckdb: EmbeddedDuckDB) -> None:
        self._query = query
        self._duckdb = duckdb
        self._copy = ServerCopy(raw, query.sql, ROW_BYTES[0], goes_on=True)
        self._pipe = self._copy.pipe
        self._session: EmbeddedSession | None = None
        self._count = 0
        self.ended = False

    async def next(self) -> list[Any]:
        """Some rows, but for the end; the last ones only when the server has said that they are all. A result without
        rows gives one batch without rows first. Raises WarehouseError, and what asyncpg raises."""
        batches: list[Any] = []
        try:
            while not self.ended and not any(batch.num_rows for batch in batches):
                batches = await self._read() or batches
                if self._session is not None and self._session.ended and self._pipe is self._copy.pipe:
                    await self._copy.end(self._count)
                    self.ended = True
        except WarehouseError as error:
            failed = await self._copy.failure()
            if failed is not None:
                raise failed from None
            raise self._query.refused(error) from error
        return batches

    async def _read(self) -> list[Any]:
        if self._session is not None and not self._session.ended:
            batches = await self._session.next_batches()
        else:
            await self._end_session()
            self._pipe = self._copy.pipe
            sql = self._query.read_by_duckdb(self._pipe.path, self._copy.row_bytes)
            self._session = self._duckdb.session(time_zone=self._query.time_zone, interrupt=self._copy.break_off)
            batches = await self._session.first_batches(sql)
        self._count += sum(batch.num_rows for batch in batches)
        return batches

    async def stop(self) -> None:
        self._copy.break_off()
        await self._end_session()
        await self._copy.stop()

    async def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class ColumnarCursor:
    """`give_back` gets the connection as soon as nothing is left to be read. `ended` tells that it was read whole."""

    def __init__(
        self,
        raw: Any,
        transaction: Any,
        sql: str,
        *,
        text: QueryText,
        duckdb: EmbeddedDuckDB,
        give_back: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._raw = raw
        self._transaction = transaction
        self._text = text
        self._duckdb = duckdb
        self._give_back = give_back
        self._calls = InterruptibleCalls()
        self._reading = False
        self._batches: ColumnarBatches | None = None
        self.ended = False
        self.sql = sql

    @property
    def closed(self) -> bool:
        return self._raw is None

    async def start(self, values: Sequence[object]) -> tuple[tuple[str, ...], list[Any]]:
        """Column names and the first batches; a result that ends with them is closed at once."""
        try:
            with translated(self.sql):
                query = await copied_query(self._raw, self.sql, values, self._text)
            self._batches = ColumnarBatches(self._raw, query, self._duckdb)
            batches = await self._read_on(self._batches)
        except BaseException:
            await self._finish(commit=False)
            raise
        return tuple(column.name for column in query.columns), batches

    async def read(self) -> list[Any]:
        """The next batches, none at the end. Raises WarehouseError if `close` comes between."""
        return await self._calls.run(self._read)

    async def close(self) -> None:
        await self._calls.interrupt()
        await self._finish(commit=True)

    async def _read(self) -> list[Any]:
        if self._raw is None or self._batches is None:
            raise WarehouseError("this result was closed before it was read to its end", sql=self.sql)
        if self._reading:
            raise WarehouseError("two tasks read one result at the same time", help="issue one query for each task")
        self._reading = True
        try:
            return await self._read_on(self._batches)
        except BaseException:
            await self._finish(commit=False)
            raise
        finally:
            self._reading = False

    async def _read_on(self, batches: ColumnarBatches) -> list[Any]:
        with translated(self.sql):
            found = await batches.next()
        if batches.ended:
            self.ended = True
            await self._finish(commit=True)
        return found

    async def _finish(self, *, commit: bool) -> None:
        raw, self._raw = self._raw, None
        if raw is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                if self._batches is not None:
                    await self._batches.stop()
                with translated(self.sql):
                    if commit and self.ended:
                        await self._transaction.commit()
                    else:
                        async with raw.insisting():
                            await self._transaction.rollback()
            except WarehouseError:
                if commit and self.ended:
                    raise
            finally:
                await self._give_back(raw)


class ColumnarResult:
    """`sqlbuild.interfaces.warehouse.OpenResult` over Arrow batches; awaited on the run's loop."""

    __slots__ = ("__weakref__", "_batches", "_columns", "_cursor", "_home", "_offset")

    def __init__(self, home: HomeLoop, columns: tuple[str, ...], batches: list[Any], cursor: ColumnarCursor) -> None:
        self._home = home
        self._columns = columns
        self._batches = batches
        self._cursor = cursor
        self._offset = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    @property
    def closed(self) -> bool:
        return self._cursor.closed

    async def fetch(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        raise WarehouseError("this result was opened for Arrow batches", help="read it with fetch_batch")

    async def fetch_batch(self, rows: int) -> Any:
        if not self._batches and not self._cursor.ended:
            self._batches = await self._home.run(self._cursor.read)
        if not self._batches:
            return None
        part = self._batches[0].slice(self._offset, rows)
        self._offset += part.num_rows
        if self._offset == self._batches[0].num_rows:
            del self._batches[0]
            self._offset = 0
        return part

    async def close(self) -> None:
        await self._home.run(self._cursor.close)

    def abandon(self) -> None:
        if not self._cursor.closed:
            self._home.post(self._cursor.close)
