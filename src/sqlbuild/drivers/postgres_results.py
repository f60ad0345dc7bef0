"""Rows of one PostgreSQL statement. Everything that is awaited here runs on the home loop unless it says otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from sqlbuild.drivers.postgres_errors import StalePlan, translated
from sqlbuild.drivers.postgres_loop import HomeLoop, InterruptibleCalls
from sqlbuild.errors import WarehouseError

Row = tuple[Any, ...]

PAGE_ROWS = 1_000
_ROWS_AT_ONCE = 10_000
"""Turning more records than this into tuples at once keeps the event loop waiting."""


async def as_rows(records: Sequence[Any]) -> list[Row]:
    """asyncpg's records as tuples."""
    if len(records) <= _ROWS_AT_ONCE:
        return list(map(tuple, records))
    rows: list[Row] = []
    for start in range(0, len(records), _ROWS_AT_ONCE):
        rows += map(tuple, records[start : start + _ROWS_AT_ONCE])
        await asyncio.sleep(0)
    return rows


async def columns_of(raw: Any, sql: str, records: Sequence[Any]) -> tuple[str, ...]:
    """Names of a result's columns; only one without rows has to be asked for them."""
    if records:
        return tuple(records[0].keys())
    return tuple(attribute.name for attribute in (await raw.prepare(sql)).get_attributes())


class WholeResult:
    """`sqlbuild.interfaces.warehouse.OpenResult` over rows that are all there; awaited on any loop."""

    __slots__ = ("__weakref__", "_columns", "_next", "_rows")

    def __init__(self, columns: tuple[str, ...], rows: list[Row]) -> None:
        self._columns = columns
        self._rows = rows
        self._next = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    @property
    def closed(self) -> bool:
        return True

    async def fetch(self, limit: int | None = None) -> list[Row]:
        start = self._next
        if limit is None and not start:
            rows, self._rows = self._rows, []
            return rows
        end = len(self._rows) if limit is None else min(start + limit, len(self._rows))
        self._next = end
        return self._rows[start:end]

    async def fetch_batch(self, rows: int) -> Any:
        raise WarehouseError("this result was opened for rows", help="ask for batches when the query is made")

    async def close(self) -> None:
        """Nothing is open."""

    def abandon(self) -> None:
        """Nothing is open."""


class PagedResult:
    """`sqlbuild.interfaces.warehouse.OpenResult` over a cursor in a transaction of its own; awaited on the run's loop."""

    __slots__ = ("__weakref__", "_columns", "_home", "_open", "_rows")

    def __init__(self, home: HomeLoop, columns: tuple[str, ...], rows: list[Row], open_: OpenCursor) -> None:
        self._home = home
        self._columns = columns
        self._rows = rows
        self._open = open_

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    @property
    def closed(self) -> bool:
        return self._open.closed

    async def fetch(self, limit: int | None = None) -> list[Row]:
        missing = None if limit is None else limit - len(self._rows)
        if not self._open.ended and (missing is None or missing > 0):
            self._rows += await self._home.run(self._open.read, missing)
        end = len(self._rows) if limit is None else limit
        rows, self._rows = self._rows[:end], self._rows[end:]
        return rows

    async def fetch_batch(self, rows: int) -> Any:
        raise WarehouseError("this result was opened for rows", help="ask for batches when the query is made")

    async def close(self) -> None:
        await self._home.run(self._open.close)

    def abandon(self) -> None:
        if not self._open.closed:
            self._home.post(self._open.close)


class OpenCursor:
    """A cursor with the rest of a result. `give_back` gets the connection as soon as nothing is left to be read.

    `ended` tells that it was read whole.
    """

    __slots__ = ("_calls", "_cursor", "_give_back", "_raw", "_reading", "_transaction", "ended", "sql")

    def __init__(self, raw: Any, transaction: Any, sql: str, give_back: Callable[[Any], Awaitable[None]]) -> None:
        self._raw = raw
        self._transaction = transaction
        self._cursor: Any = None
        self._give_back = give_back
        self._calls = InterruptibleCalls()
        self._reading = False
        self.ended = False
        self.sql = sql

    @property
    def closed(self) -> bool:
        return self._raw is None

    async def start(self, parameters: Sequence[object]) -> tuple[tuple[str, ...], list[Row]]:
        """Column names and the first page; a result that ends with it is closed at once."""
        try:
            with translated(self.sql):
                self._cursor = await self._raw.cursor(self.sql, *parameters)
                records = await self._cursor.fetch(PAGE_ROWS)
                columns = await columns_of(self._raw, self.sql, records)
            await self._after(len(records) < PAGE_ROWS)
        except StalePlan:
            await self._raw.reload_schema_state()
            await self._finish(commit=False)
            raise
        except BaseException:
            await self._finish(commit=False)
            raise
        return columns, await as_rows(records)

    async def read(self, limit: int | None) -> list[Row]:
        """Whole pages up to at least `limit` rows, all without it. Raises WarehouseError if `close` comes between."""
        return await self._calls.run(self._read, limit)

    async def _read(self, limit: int | None) -> list[Row]:
        if self._raw is None:
            raise WarehouseError("this result was closed before it was read to its end", sql=self.sql)
        if self._reading:
            raise WarehouseError("two tasks read one result at the same time", help="issue one query for each task")
        self._reading = True
        rows: list[Row] = []
        try:
            with translated(self.sql):
                while not self.ended and (limit is None or len(rows) < limit):
                    page = await self._cursor.fetch(PAGE_ROWS)
                    rows += map(tuple, page)
                    await self._after(len(page) < PAGE_ROWS)
        except BaseException:
            await self._finish(commit=False)
            raise
        finally:
            self._reading = False
        return rows

    async def close(self) -> None:
        await self._calls.interrupt()
        await self._finish(commit=True)

    async def _after(self, is_last: bool) -> None:
        if is_last:
            self.ended = True
            await self._finish(commit=True)

    async def _finish(self, *, commit: bool) -> None:
        raw, self._raw = self._raw, None
        if raw is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                with translated(self.sql):
                    if commit:
                        await self._transaction.commit()
                    else:
                        async with raw.insisting():
                            await self._transaction.rollback()
            except WarehouseError:
                if commit and self.ended:
                    raise
            finally:
                await self._give_back(raw)
