"""A DuckDB in memory that stands beside another warehouse: it reads and writes files, and keeps nothing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import duckdb

from sqlbuild.drivers.duckdb_errors import translated
from sqlbuild.drivers.duckdb_results import OpenCursor, close_cursor, interrupter
from sqlbuild.drivers.statement_threads import StatementThreads

T = TypeVar("T")

_CONFIG: dict[str, Any] = {
    # Sessions do not share it: each works on the thread that called it, which is as fast as a server sends.
    "threads": 1,
    "autoinstall_known_extensions": False,
    # As for a warehouse of DuckDB: see `DuckDBDatabase`.
    "async_threads": 0,
    "partitioned_write_flush_threshold": 20_000,
    # Whatever does not fit into memory would else be written into the folder that the process was started in.
    "temp_directory": "",
}


class EmbeddedDuckDB:
    """Begins with the first statement of a session; making it takes some hundredths of a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: duckdb.DuckDBPyConnection | None = None
        self._threads: StatementThreads | None = None

    def session(self, *, time_zone: str | None = None, interrupt: Callable[[], None] = lambda: None) -> EmbeddedSession:
        """On the event loop that it is awaited on, the same one for all. `interrupt` is called, beside DuckDB's own
        interrupting, when a statement is cancelled: again and again until that has ended."""
        if self._threads is None:
            self._threads = StatementThreads("sqlbuild-duckdb")
        return EmbeddedSession(self._threads, lambda: self._cursor(time_zone), interrupt)

    async def close(self) -> None:
        """When every session is closed."""
        root, self._root = self._root, None
        threads, self._threads = self._threads, None
        if threads is not None:
            if root is not None:
                with anyio.CancelScope(shield=True):
                    await threads.run(lambda: close_cursor(root), interrupter(root))
            threads.close()

    def _cursor(self, time_zone: str | None) -> duckdb.DuckDBPyConnection:
        """On a worker thread."""
        with translated("opening a database in memory"), self._lock:
            if self._root is None:
                self._root = duckdb.connect(":memory:", config=_CONFIG)
            cursor = self._root.cursor()
        if time_zone is not None:
            with contextlib.suppress(duckdb.Error):  # PostgreSQL has zones that DuckDB does not know
                cursor.execute("SET TimeZone = ?", [time_zone])
        return cursor


class EmbeddedSession:
    """One statement after the other, each on a worker thread; `close` whatever happens."""

    def __init__(
        self,
        threads: StatementThreads,
        make_cursor: Callable[[], duckdb.DuckDBPyConnection],
        interrupt: Callable[[], None],
    ) -> None:
        self._threads = threads
        self._make_cursor = make_cursor
        self._interrupt = interrupt
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._reader: OpenCursor | None = None

    async def rows(self, statement: Callable[[], str]) -> list[tuple[Any, ...]]:
        """`statement` is called on the thread too."""

        def execute(cursor: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
            sql = statement()
            with translated(sql):
                rows: list[tuple[Any, ...]] = cursor.execute(sql).fetchall()
                return rows

        return await self._run(execute)

    @property
    def ended(self) -> bool:
        """Whether the batches were all read."""
        return self._reader is not None and self._reader.ended

    async def first_batches(self, sql: str) -> list[Any]:
        """The first Arrow batches of a statement's rows; one without rows if there are none."""

        def start(cursor: duckdb.DuckDBPyConnection) -> list[Any]:
            self._reader = OpenCursor(self._threads, cursor, sql)
            return self._reader.start_batches(None)[1]

        return await self._run(start)

    async def next_batches(self) -> list[Any]:
        """None at the end."""
        reader = self._reader
        assert reader is not None
        return await self._run(lambda _: reader.next_batches())

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            if self._reader is not None:
                await self._reader.close()
            cursor, self._cursor = self._cursor, None
            if cursor is not None:
                await self._threads.run(lambda: close_cursor(cursor), interrupter(cursor))

    async def _run(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        return await self._threads.run(lambda: work(self._opened()), self._stop)

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._cursor is None:
            self._cursor = self._make_cursor()
        return self._cursor

    def _stop(self) -> None:
        self._interrupt()
        if self._cursor is not None:
            interrupter(self._cursor)()
