"""Several statements in a row on a worker thread, with Arrow data beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import duckdb

from sqlbuild.drivers.duckdb_errors import durable_commits, translated


class BlockingCursor:
    """A cursor of a worker thread. Whoever waits for that thread interrupts it when cancelled."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def execute(self, sql: str, parameters: list[object] | None = None) -> None:
        with translated(sql), durable_commits():
            self._cursor.execute(sql, parameters)

    def rows(self, sql: str, parameters: list[object] | None = None) -> list[tuple[Any, ...]]:
        with translated(sql):
            rows: list[tuple[Any, ...]] = self._cursor.execute(sql, parameters).fetchall()
            return rows

    @contextlib.contextmanager
    def named(self, name: str, data: Any) -> Iterator[None]:
        """While it lasts, `data` (an Arrow table or record batch) can be read as the view `name`."""
        with translated(name):
            self._cursor.register(name, data)
        try:
            yield
        finally:
            with contextlib.suppress(duckdb.Error):
                self._cursor.unregister(name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with translated("BEGIN"):
            self._cursor.begin()
        try:
            yield
            with translated("COMMIT"), durable_commits():
                self._cursor.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):  # some errors have ended the transaction already
                self._cursor.rollback()
            raise
