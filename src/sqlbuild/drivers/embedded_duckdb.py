"""A DuckDB in memory that stands beside another warehouse: it reads and writes files, and keeps nothing.

DuckDB itself is imported with the first statement, on its worker thread: that takes a tenth of a second and 16 MB, which
a run that only builds tables of the other warehouse has no use for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from sqlbuild.drivers.statement_threads import StatementThreads

if TYPE_CHECKING:
    from sqlbuild.drivers.duckdb_in_memory import InMemoryCursor, InMemoryDuckDB

T = TypeVar("T")


class EmbeddedDuckDB:
    """Begins with the first statement of a session; making it takes some hundredths of a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database: InMemoryDuckDB | None = None
        self._threads: StatementThreads | None = None

    def session(self, *, time_zone: str | None = None, interrupt: Callable[[], None] = lambda: None) -> EmbeddedSession:
        """On the event loop that it is awaited on, the same one for all. `interrupt` is called, beside DuckDB's own
        interrupting, when a statement is cancelled: again and again until that has ended."""
        if self._threads is None:
            self._threads = StatementThreads("sqlbuild-duckdb")
        return EmbeddedSession(self._threads, lambda: self._cursor(time_zone), interrupt)

    async def close(self) -> None:
        """When every session is closed."""
        database, self._database = self._database, None
        threads, self._threads = self._threads, None
        if threads is not None:
            if database is not None:
                with anyio.CancelScope(shield=True):
                    await threads.run(database.close, database.interrupt)
            threads.close()

    def _cursor(self, time_zone: str | None) -> InMemoryCursor:
        """On a worker thread."""
        from sqlbuild.drivers.duckdb_in_memory import InMemoryDuckDB

        with self._lock:
            if self._database is None:
                self._database = InMemoryDuckDB()
            return self._database.cursor(time_zone)


class EmbeddedSession:
    """One statement after the other, each on a worker thread; `close` whatever happens."""

    def __init__(
        self, threads: StatementThreads, make_cursor: Callable[[], InMemoryCursor], interrupt: Callable[[], None]
    ) -> None:
        self._threads = threads
        self._make_cursor = make_cursor
        self._interrupt = interrupt
        self._cursor: InMemoryCursor | None = None

    async def rows(self, statement: Callable[[], str]) -> list[tuple[Any, ...]]:
        """`statement` is called on the thread too."""
        return await self._run(lambda cursor: cursor.rows(statement()))

    @property
    def ended(self) -> bool:
        """Whether the batches were all read."""
        return self._cursor is not None and self._cursor.ended

    async def first_batches(self, sql: str) -> list[Any]:
        """The first Arrow batches of a statement's rows; one without rows if there are none."""
        return await self._run(lambda cursor: cursor.first_batches(sql, self._threads))

    async def next_batches(self) -> list[Any]:
        """None at the end."""
        return await self._run(lambda cursor: cursor.next_batches())

    async def close(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            with anyio.CancelScope(shield=True):
                await cursor.stop_reading()
                await self._threads.run(cursor.close, cursor.interrupt)

    async def _run(self, work: Callable[[InMemoryCursor], T]) -> T:
        return await self._threads.run(lambda: work(self._opened()), self._stop)

    def _opened(self) -> InMemoryCursor:
        if self._cursor is None:
            self._cursor = self._make_cursor()
        return self._cursor

    def _stop(self) -> None:
        self._interrupt()
        if self._cursor is not None:
            self._cursor.interrupt()
