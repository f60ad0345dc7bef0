"""PostgreSQL by asyncpg: a server connection for each statement that runs, and for each result that is read in pages.

Connections live on the home loop (see `HomeLoop`). asyncpg sends a request to cancel when a waiting statement is
cancelled; the connection is given back, and with it the call returns, only when the server has acknowledged that.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

import anyio

from sqlbuild.domain.pattern import pattern
from sqlbuild.drivers.embedded_duckdb import EmbeddedDuckDB
from sqlbuild.drivers.postgres_columnar import ColumnarCursor, ColumnarResult
from sqlbuild.drivers.postgres_errors import LostConnection, ServerAway, StalePlan, translated
from sqlbuild.drivers.postgres_loop import HomeLoop, InterruptibleCalls
from sqlbuild.drivers.postgres_opening import ServerAddress, connected
from sqlbuild.drivers.postgres_pool import ConnectionPool
from sqlbuild.drivers.postgres_results import OpenCursor, PagedResult, WholeResult, as_rows, columns_of
from sqlbuild.drivers.postgres_server_copy import DuckDBOrder, QueryText, copy_through_duckdb
from sqlbuild.errors import WarehouseError, WarehouseUnreachable
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import Extent, OpenResult, Parameters

T = TypeVar("T")

Numbered = Callable[[str, Parameters], tuple[str, tuple[object, ...]]]
"""A statement and its parameters -> the same with `$1`, `$2`."""

AWAY_SECONDS = 30.0
"""For so long new connections wait for a server that has gone away, such as one that is restarted; then they fail at once."""
RECONNECT_SECONDS = 0.1
_PREPARE = pattern(r"\bPREPARE\b", re.IGNORECASE)
_KNOWN_STATEMENTS = 256
"""Of which it is remembered whether a session has to be reset after them."""

_NOTHING = pattern(r"(?:[\s;]++|--[^\n]*+|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/)*+")


class PostgresServer:
    """The connections of one run to one server."""

    def __init__(
        self, address: ServerAddress, numbered: Numbered, query_text: QueryText, leaves_nothing: Callable[[str], bool]
    ) -> None:
        self._address = address
        self.numbered = numbered
        self.leaves_nothing = functools.lru_cache(maxsize=_KNOWN_STATEMENTS)(leaves_nothing)
        self.query_text = query_text
        self.duckdb = EmbeddedDuckDB()
        self.home = HomeLoop()
        self.pool = ConnectionPool(self._connect, own_processes=address.prepared_statements)
        self._open = False
        self._read_only = False
        self._share: int | None = None
        self._away_since: float | None = None
        self._connections: set[PostgresConnection] = set()

    @property
    def prepared_statements(self) -> bool:
        return self._address.prepared_statements

    async def open(self, *, read_only: bool = False, share: int | None = None) -> None:
        """Every session will share the advisory lock `share`, a signed number of 64 bits. Raises WarehouseUnreachable."""
        self._read_only = read_only
        self._share = share
        await self.home.open()
        try:
            await self.home.run(self._try)
        except BaseException:
            await self.home.close()
            raise
        self._open = True

    async def close(self) -> None:
        """Stop what still runs, and give every connection back to the server."""
        if not self._open:
            return
        self._open = False
        with anyio.CancelScope(shield=True):
            for connection in list(self._connections):
                await connection.close()
            await self.home.run(self.duckdb.close)
            await self.home.run(self.pool.close)
            await self.home.close()

    def connect(self) -> PostgresConnection:
        connection = PostgresConnection(self)
        self._connections.add(connection)
        return connection

    def forget(self, connection: PostgresConnection) -> None:
        self._connections.discard(connection)

    async def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        if not self._open:
            raise WarehouseError(f"the connection to {self._address.place} is not open")
        return await self.home.run(function, *args)

    async def _try(self) -> None:
        await self.pool.give_back(await self.pool.take())

    async def _connect(self) -> Any:
        """While the server is away, in a run, it is waited for: nothing was sent that could have got lost."""
        while True:
            try:
                raw = await connected(self._address, read_only=self._read_only, share=self._share)
            except WarehouseUnreachable as error:
                if not self._open:
                    raise
                now = asyncio.get_running_loop().time()
                self._away_since = now if self._away_since is None else self._away_since
                is_away = isinstance(error, ServerAway)
                if not is_away or now - self._away_since > AWAY_SECONDS:
                    raise LostConnection(error.args[0], help=error.help, transient=is_away) from error
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self._away_since = None
                return raw


class PostgresConnection:
    """`sqlbuild.interfaces.warehouse.Connection`: what one node has open.

    One server connection is used by one statement after the other. A result that is read in pages keeps it until it is
    closed; a statement beside it gets another one.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._kept: Any = None
        self._in_use = asyncio.Lock()
        self._open: set[OpenCursor | ColumnarCursor] = set()
        self._calls = InterruptibleCalls()
        self._raw: Any = None
        self._closed = False

    raw_is_async = True

    @property
    def raw(self) -> Any:
        """asyncpg's connection, for `async def` nodes on asyncio. Raises WarehouseError where it cannot be had."""
        if not self._server.home.is_own:
            raise WarehouseError(
                "ctx.connection is a connection of asyncpg, which works on asyncio only",
                help="run with --backend asyncio, or use ctx.query and ctx.execute_sql",
            )
        if self._raw is None:
            self._raw = self._server.pool.take_idle()
        if self._raw is None:
            raise WarehouseError(
                "ctx.connection: there is no connection to the server yet",
                help="await a statement with ctx.query(...) or ctx.execute_sql(...) first",
            )
        self._raw.is_as_new, self._raw.may_have_prepared = False, True
        return self._raw

    async def execute(self, sql: str, parameters: Parameters = None) -> None:
        text, values = self._numbered(sql, parameters)
        await self.run(lambda raw: self._execute(raw, text, values), sql=text)

    async def query(
        self, sql: str, parameters: Parameters = None, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> OpenResult:
        text, values = self._numbered(sql, parameters)
        if arrow:
            return await self._server.run(self._calls.run, self._start_columnar, text, values)
        if extent is Extent.PAGES:
            return await self._server.run(self._calls.run, self._start, text, values)
        leaves_nothing = self._server.leaves_nothing(text)
        read = functools.partial(self._at_once, sql=text, values=values, extent=extent)
        return await self._server.run(self._calls.run, self._run, read, text, leaves_nothing)

    async def execute_together(self, statements: Iterable[tuple[str, Parameters]]) -> None:
        await self.run(lambda raw: self._together(raw, statements))

    async def run(self, function: Callable[[Any], Awaitable[T]], *, sql: str = "") -> T:
        """Await `function(raw)` on the home loop with a connection of asyncpg that nobody else uses meanwhile, in no
        transaction; what asyncpg raises becomes WarehouseError."""
        return await self._server.run(self._calls.run, self._run, function, sql)

    async def copy_through_duckdb(self, order: DuckDBOrder) -> tuple[list[tuple[Any, ...]], int]:
        """See `sqlbuild.drivers.postgres_server_copy.copy_through_duckdb`; errors are WarehouseError."""
        text, duckdb = self._server.query_text, self._server.duckdb
        return await self.run(lambda raw: copy_through_duckdb(raw, order, text, duckdb), sql=order.sql)

    async def query_duckdb(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a statement of DuckDB, in a database in memory that has nothing of the server."""
        return await self._server.run(self._calls.run, self._query_duckdb, sql)

    def beside(self) -> PostgresConnection:
        """Another one to the same server."""
        return self._server.connect()

    async def close(self) -> None:
        self._closed = True
        if not self._is_put_back():
            with anyio.CancelScope(shield=True):
                await self._server.home.run(self._close)
        self._server.forget(self)

    def _is_put_back(self) -> bool:
        """Whether there is nothing to be waited for any more."""
        if self._raw is not None or self._open or self._calls:
            return False
        if self._kept is not None:
            if not (self._kept.is_as_new and self._server.home.is_own):
                return False
            raw, self._kept = self._kept, None
            self._server.pool.put_back(raw)
        return True

    def _numbered(self, sql: str, parameters: Parameters) -> tuple[str, tuple[object, ...]]:
        if _NOTHING.fullmatch(sql):
            raise WarehouseError("the statement is empty", sql=sql)
        return self._server.numbered(sql, parameters)

    # What follows runs on the home loop.

    async def _run(self, function: Callable[[Any], Awaitable[T]], sql: str, leaves_nothing: bool = False) -> T:
        async with self._in_use:
            raw = await self._take()
            raw.is_as_new = raw.is_as_new and leaves_nothing
            ended = False
            try:
                with translated(sql):
                    value = await function(raw)
                ended = True
                return value
            except StalePlan:
                await raw.reload_schema_state()
                raise
            finally:
                if ended:
                    await self._keep(raw)
                else:
                    await self._server.pool.give_back(raw)

    async def _take(self) -> Any:
        raw, self._kept = self._kept, None
        if raw is not None and not await raw.is_open():
            raw.terminate()
            await self._server.pool.give_back(raw)
            raw = None
        return raw if raw is not None else await self._server.pool.take()

    async def _execute(self, raw: Any, sql: str, values: tuple[object, ...]) -> None:
        raw.may_have_prepared = raw.may_have_prepared or _PREPARE.search(sql) is not None
        pooled = not self._server.prepared_statements
        if pooled and (values or raw.reads_only) and not raw.is_in_transaction():
            # A pooler keeps one server connection for a transaction, and for nothing else.
            async with raw.transaction():
                await raw.execute(sql, *values)
        else:
            await raw.execute(sql, *values)

    async def _at_once(self, raw: Any, *, sql: str, values: tuple[object, ...], extent: Extent) -> WholeResult:
        if not self._server.prepared_statements:
            async with raw.transaction():
                records = await _fetch(raw, sql, values, extent)
                columns = await columns_of(raw, sql, records)
        else:
            records = await _fetch(raw, sql, values, extent)
            columns = await columns_of(raw, sql, records)
            if not records:
                # Asking for columns ends no transaction: until the next statement its locks would be held.
                raw.is_as_new = False
        return WholeResult(columns, await as_rows(records))

    async def _together(self, raw: Any, statements: Iterable[tuple[str, Parameters]]) -> None:
        async with raw.transaction():
            for sql, parameters in statements:
                text, values = self._numbered(sql, parameters)
                with translated(text):
                    await self._execute(raw, text, values)
            failpoint("warehouse.committing")

    async def _start(self, sql: str, values: tuple[object, ...]) -> OpenResult:
        try:
            return await self._start_once(sql, values)
        except StalePlan:
            return await self._start_once(sql, values)

    async def _start_once(self, sql: str, values: tuple[object, ...]) -> OpenResult:
        async with self._begun(sql) as (raw, transaction):
            cursor = OpenCursor(raw, transaction, sql, self._keep)
            self._open.add(cursor)
            try:
                columns, rows = await cursor.start(values)
            finally:
                if cursor.closed:
                    self._open.discard(cursor)
        if cursor.ended:
            return WholeResult(columns, rows)
        return PagedResult(self._server.home, columns, rows, cursor)

    async def _start_columnar(self, sql: str, values: tuple[object, ...]) -> OpenResult:
        async with self._begun(sql) as (raw, transaction):
            cursor = ColumnarCursor(
                raw,
                transaction,
                sql,
                text=self._server.query_text,
                duckdb=self._server.duckdb,
                give_back=self._keep,
            )
            self._open.add(cursor)
            try:
                columns, batches = await cursor.start(values)
            finally:
                if cursor.closed:
                    self._open.discard(cursor)
        return ColumnarResult(self._server.home, columns, batches, cursor)

    async def _query_duckdb(self, sql: str) -> list[tuple[Any, ...]]:
        session = self._server.duckdb.session()
        try:
            return await session.rows(lambda: sql)
        finally:
            await session.close()

    @contextlib.asynccontextmanager
    async def _begun(self, sql: str) -> AsyncIterator[tuple[Any, Any]]:
        """A connection with the transaction that was begun on it; the block gives it back or lets somebody keep it."""
        async with self._in_use:
            raw = await self._take()
            raw.is_as_new = False
            transaction = raw.transaction()
            try:
                with translated(sql), anyio.CancelScope(shield=True):
                    await transaction.start()
            except BaseException:
                await self._server.pool.give_back(raw)
                raise
            yield raw, transaction

    async def _keep(self, raw: Any) -> None:
        """The next statement of this connection may use it."""
        is_usable = not raw.is_closed() and not raw.is_in_transaction()
        if self._kept is None and not self._closed and is_usable:
            self._kept = raw
        else:
            await self._server.pool.give_back(raw)

    async def _close(self) -> None:
        await self._calls.interrupt()
        for cursor in list(self._open):
            await cursor.close()
        self._open.clear()
        raw, self._kept = self._kept, None
        own, self._raw = self._raw, None
        if raw is not None and raw.is_as_new:
            self._server.pool.put_back(raw)
        elif raw is not None:
            await self._server.pool.take_back(raw, quiet=True)
        if own is not None:
            await self._server.pool.take_back(own)


async def _fetch(raw: Any, sql: str, values: tuple[object, ...], extent: Extent) -> list[Any]:
    if extent is Extent.WHOLE:
        records: list[Any] = await raw.fetch(sql, *values)
        return records
    record = await raw.fetchrow(sql, *values)
    return [] if record is None else [record]
