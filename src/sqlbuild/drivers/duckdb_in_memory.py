"""A DuckDB in memory and its cursors, for worker threads; `embedded_duckdb` imports this once it is needed."""

from __future__ import annotations

import contextlib
from typing import Any

import duckdb

from sqlbuild.drivers.duckdb_errors import translated
from sqlbuild.drivers.duckdb_results import OpenCursor, close_cursor, interrupter
from sqlbuild.drivers.statement_threads import StatementThreads

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
_OPENING = "opening a database in memory"


class InMemoryDuckDB:
    def __init__(self) -> None:
        with translated(_OPENING):
            self._root = duckdb.connect(":memory:", config=_CONFIG)
        self.interrupt = interrupter(self._root)

    def cursor(self, time_zone: str | None) -> InMemoryCursor:
        with translated(_OPENING):
            cursor = self._root.cursor()
        if time_zone is not None:
            with contextlib.suppress(duckdb.Error):  # PostgreSQL has zones that DuckDB does not know
                cursor.execute("SET TimeZone = ?", [time_zone])
        return InMemoryCursor(cursor)

    def close(self) -> None:
        close_cursor(self._root)


class InMemoryCursor:
    """One statement after the other. `interrupt` may be called from any thread."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._reader: OpenCursor | None = None
        self.interrupt = interrupter(cursor)

    @property
    def ended(self) -> bool:
        """Whether the batches were all read."""
        return self._reader is not None and self._reader.ended

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with translated(sql):
            rows: list[tuple[Any, ...]] = self._cursor.execute(sql).fetchall()
            return rows

    def first_batches(self, sql: str, threads: StatementThreads) -> list[Any]:
        self._reader = OpenCursor(threads, self._cursor, sql)
        return self._reader.start_batches(None)[1]

    def next_batches(self) -> list[Any]:
        assert self._reader is not None
        return self._reader.next_batches()

    async def stop_reading(self) -> None:
        """On the event loop."""
        if self._reader is not None:
            await self._reader.close()

    def close(self) -> None:
        close_cursor(self._cursor)
