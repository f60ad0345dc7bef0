"""DuckDB: one database, a fresh cursor for every statement, each on a worker thread.

A cursor runs one statement at a time and belongs to an open result until that is read to its end, which is why cursors
are never shared. `interrupt()` ends whatever a cursor runs within milliseconds; see `StatementThreads.run`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import anyio
import duckdb

from sqlbuild.drivers.duckdb_blocking import BlockingCursor
from sqlbuild.drivers.duckdb_errors import (
    BrokenDatabase,
    durable_commits,
    first_line,
    not_a_database,
    translated,
    translated_opening,
)
from sqlbuild.drivers.duckdb_results import (
    BatchResult,
    OpenCursor,
    RowResult,
    StatementParameters,
    close_cursor,
    interrupter,
)
from sqlbuild.drivers.statement_threads import StatementThreads
from sqlbuild.errors import SqlbuildError, WarehouseError, WarehouseUnreachable
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import Extent, OpenResult, Parameters

T = TypeVar("T")

IN_MEMORY = ":memory:"


class DuckDBDatabase:
    """An open database file or `:memory:`. Relative file names in SQL are relative to `project_root`."""

    def __init__(
        self, path: str, project_root: str, *, settings: Mapping[str, object], extensions: Iterable[str] = ()
    ) -> None:
        self.path = path
        self._file_search_path = project_root
        self._settings = settings
        self._extensions = tuple(extensions)
        self._root: duckdb.DuckDBPyConnection | None = None
        self._threads: StatementThreads | None = None
        self._connections: set[DuckDBConnection] = set()
        self._read_only = False
        self._broken = False
        self._reopening: anyio.Lock | None = None
        self._running = 0
        self._none_runs: anyio.Event | None = None

    def exists(self) -> bool:
        """Whether there is a file; a database in memory holds nothing before it is opened."""
        return self.path != IN_MEMORY and Path(self.path).exists()

    async def open(self, *, read_only: bool) -> None:
        """Raises TargetLocked, WarehouseUnreachable."""
        if read_only and not self.exists() and self.path != IN_MEMORY:
            raise WarehouseUnreachable(
                f"nothing was built yet: {self.path} does not exist", help="run `sqb build` first, or choose a target"
            )
        self._threads = StatementThreads("duckdb")
        self._read_only = read_only
        try:
            self._root = await self._threads.run(self._connect, lambda: None)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop what still runs, close the file and give its lock back."""
        with anyio.CancelScope(shield=True):
            for connection in list(self._connections):
                await connection.close()
            root, self._root = self._root, None
            threads, self._threads = self._threads, None
            if threads is not None:
                if root is not None:
                    await threads.run(lambda: close_cursor(root), lambda: None)
                del root
                threads.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        with translated_opening(self.path):
            root = duckdb.connect(
                self.path,
                read_only=self._read_only and self.path != IN_MEMORY,
                config={
                    # Otherwise a query that only mentions another system would try to reach the network first.
                    "autoinstall_known_extensions": False,
                    # With threads for I/O of its own, DuckDB 2.0 now and then never ends a COPY that is interrupted.
                    "async_threads": 0,
                    # Half a million rows for each thread and partition would be gigabytes of memory.
                    "partitioned_write_flush_threshold": 20_000,
                    "file_search_path": self._file_search_path,
                },
            )
        try:
            self._refuse_data_file(root)
            for name in self._extensions:
                _load_extension(root, name)
            for key, value in self._settings.items():
                _apply_setting(root, key, value)
        except BaseException:
            root.close()
            raise
        return root

    def _refuse_data_file(self, root: duckdb.DuckDBPyConnection) -> None:
        """DuckDB opens a data file such as orders.csv as a database in memory, which would forget every build."""
        sql = "SELECT path IS NULL FROM duckdb_databases() WHERE database_name = current_database()"
        if self.path != IN_MEMORY and root.execute(sql).fetchall() == [(True,)]:
            raise not_a_database(self.path)

    def connect(self) -> DuckDBConnection:
        connection = DuckDBConnection(self)
        self._connections.add(connection)
        return connection

    def forget(self, connection: DuckDBConnection) -> None:
        self._connections.discard(connection)

    @property
    def threads(self) -> StatementThreads:
        if self._threads is None:
            raise WarehouseError(f"{self.path} is not open")
        return self._threads

    async def run(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """As `StatementThreads.run`; a database that has come to grief meanwhile is opened anew by the next statement."""
        self._running += 1
        try:
            return await self.threads.run(work, interrupt)
        except BrokenDatabase:
            self._broken = True
            raise
        finally:
            self._running -= 1
            if not self._running and self._none_runs is not None:
                self._none_runs.set()

    async def once_usable(self, statement: Callable[[], Awaitable[T]]) -> T:
        """What `statement` returns; it is issued a second time if it was refused for what another one did."""
        await self._reopen_if_broken()
        try:
            return await statement()
        except BrokenDatabase as error:
            self._broken = True
            if not error.refused:
                raise
        await self._reopen_if_broken()
        return await statement()

    async def _reopen_if_broken(self) -> None:
        if not self._broken:
            return
        self._reopening = self._reopening or anyio.Lock()
        async with self._reopening:
            if self._broken:
                with anyio.CancelScope(shield=True):
                    await self._reopen()

    async def _reopen(self) -> None:
        """DuckDB keeps the broken database for as long as anything of it is open."""
        for connection in list(self._connections):
            await connection.let_go()
        self._none_runs = anyio.Event()
        if self._running:
            await self._none_runs.wait()
        root, self._root = self._root, None
        await self.threads.run(functools.partial(close_cursor, root), lambda: None)
        del root
        try:
            self._root = await self.threads.run(self._connect, lambda: None)
        except SqlbuildError as error:
            raise WarehouseError(f"DuckDB cannot be opened again: {error}", help=error.help) from error
        self._broken = False

    def cursor(self) -> duckdb.DuckDBPyConnection:
        if self._root is None:
            raise WarehouseError(f"{self.path} is not open")
        with translated():
            return self._root.cursor()


class DuckDBConnection:
    """`sqlbuild.interfaces.warehouse.Connection`: what one node has open."""

    def __init__(self, database: DuckDBDatabase) -> None:
        self._database = database
        self._raw: duckdb.DuckDBPyConnection | None = None
        self._open: set[OpenCursor] = set()

    raw_is_async = False

    @property
    def raw(self) -> Any:
        if self._raw is None:
            self._raw = self._database.cursor()
        return self._raw

    async def execute(self, sql: str, parameters: Parameters = None) -> None:
        work = functools.partial(_execute, sql=sql, parameters=_bindable(parameters))
        await self._database.once_usable(lambda: self._run(work))

    async def execute_together(self, statements: Iterable[tuple[str, Parameters]]) -> None:
        begun = functools.partial(_execute_together, statements=statements)
        await self._database.once_usable(lambda: self._run(begun))

    async def query(
        self, sql: str, parameters: Parameters = None, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> OpenResult:
        values = _bindable(parameters)
        return await self._database.once_usable(lambda: self._start(sql, values, arrow=arrow))

    async def _start(self, sql: str, values: StatementParameters, *, arrow: bool) -> OpenResult:
        cursor = OpenCursor(self._database.threads, self._database.cursor(), sql)
        self._open.add(cursor)
        cursor.when_closed(functools.partial(self._open.discard, cursor))
        if arrow:
            columns, batches = await cursor.read(lambda: cursor.start_batches(values))
            return BatchResult(cursor, columns, batches)
        columns, rows = await cursor.read(lambda: cursor.start_rows(values))
        return RowResult(cursor, columns, rows)

    async def blocking(self, work: Callable[[BlockingCursor], T]) -> T:
        """Run `work` on a worker thread, with a cursor of its own that is closed afterwards."""

        def steps(cursor: duckdb.DuckDBPyConnection) -> T:
            with _begun():
                return work(BlockingCursor(cursor))

        return await self._database.once_usable(lambda: self._run(steps))

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.let_go()
        self._database.forget(self)

    async def let_go(self) -> None:
        """Close every open result and what `raw` has given."""
        for cursor in list(self._open):
            await cursor.close()
        raw, self._raw = self._raw, None
        if raw is not None:
            await self._database.threads.run(lambda: close_cursor(raw), interrupter(raw))

    async def _run(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run `work` on a worker thread with a cursor of its own."""
        cursor = self._database.cursor()
        try:
            return await self._database.run(lambda: _with_cursor(cursor, work), interrupter(cursor))
        finally:
            cursor.close()  # the thread has done it already, unless it never began


def _load_extension(root: duckdb.DuckDBPyConnection, name: str) -> None:
    try:
        root.load_extension(name)
    except duckdb.Error:
        try:
            root.install_extension(name)
            root.load_extension(name)
        except duckdb.Error as error:
            raise WarehouseUnreachable(
                f"the DuckDB extension {name} can be neither loaded nor installed: {first_line(error)}",
                help="correct `extensions` of the connection, or install it once where there is a network",
            ) from error


def _apply_setting(root: duckdb.DuckDBPyConnection, key: str, value: object) -> None:
    name = '"' + key.replace('"', '""') + '"'
    try:
        root.execute(f"SET GLOBAL {name} = ?", [value])
    except duckdb.Error as error:
        raise WarehouseUnreachable(
            f"DuckDB does not take the setting {key} = {value!r}: {first_line(error)}",
            help="correct `settings` of the connection; `SELECT name FROM duckdb_settings()` lists what there is",
        ) from error


def _with_cursor(cursor: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    try:
        return work(cursor)
    finally:
        cursor.close()


def _execute(cursor: duckdb.DuckDBPyConnection, *, sql: str, parameters: StatementParameters) -> None:
    with translated(sql), durable_commits():
        if cursor.execute(sql, parameters) is None:
            raise WarehouseError("the statement is empty", sql=sql)
        cursor.complete()


def _execute_together(cursor: duckdb.DuckDBPyConnection, *, statements: Iterable[tuple[str, Parameters]]) -> None:
    with translated("BEGIN"):
        cursor.begin()
    try:
        with _begun():
            for sql, parameters in statements:
                _execute(cursor, sql=sql, parameters=_bindable(parameters))
            failpoint("warehouse.committing")
            with translated("COMMIT"), durable_commits():
                cursor.commit()
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # some errors have ended the transaction already
            cursor.rollback()
        raise


@contextlib.contextmanager
def _begun() -> Iterator[None]:
    """Several steps, the first of which may have been taken when a later one is refused."""
    try:
        yield
    except BrokenDatabase as error:
        error.refused = False
        raise


def _bindable(parameters: Parameters) -> StatementParameters:
    if parameters is None or isinstance(parameters, list | tuple | dict):
        return parameters
    if isinstance(parameters, Mapping):
        return dict(parameters)
    if isinstance(parameters, str | bytes):
        raise WarehouseError(
            f"the parameters of a statement are a list or a mapping, not {type(parameters).__name__}",
            help="write [value] for a single one",
        )
    return list(parameters)
