"""A node session in memory, for the contexts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
import pytest

from sqlbuild.domain.results import UpstreamResult
from sqlbuild.errors import MissingAwait, UndeclaredDependency, UpstreamHasNoResult
from sqlbuild.interfaces.node_session import NodeFacts
from sqlbuild.interfaces.warehouse import Extent
from sqlbuild.refs import Reference


class MemoryResult:
    """Rows of one statement, with a record of how they were read. Reads ahead: closed before its rows are fetched."""

    def __init__(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        self.columns = columns
        self.closed = len(rows) < 1_000
        self.abandoned = False
        self.limits: list[int | None] = []
        self._rows = list(rows)

    async def fetch(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        self.limits.append(limit)
        count = len(self._rows) if limit is None else limit
        page, self._rows = self._rows[:count], self._rows[count:]
        self.closed = not self._rows
        return page

    async def fetch_batch(self, rows: int) -> Any:
        import pyarrow

        self.limits.append(rows)
        page, self._rows = self._rows[:rows], self._rows[rows:]
        self.closed = not self._rows
        if not page and len(self.limits) > 1:
            return None
        arrays = [pyarrow.array([row[index] for row in page]) for index in range(len(self.columns))]
        return pyarrow.RecordBatch.from_arrays(arrays, names=list(self.columns))

    async def close(self) -> None:
        self.closed = True

    def abandon(self) -> None:
        self.abandoned = True


class MemorySession:
    """Holds what a node may ask for, and records what it did."""

    def __init__(self) -> None:
        self.facts = NodeFacts(
            run_id="r1",
            node_id="asset:orders_export",
            node_name="orders_export",
            attempt=2,
            target="dev",
            vars={"month": "2013-01"},
            is_reload=True,
        )
        self.upstreams: dict[Callable[..., object], UpstreamResult | None] = {}
        self.rows: list[tuple[Any, ...]] = [(1, "a"), (2, "b"), (3, "c")]
        self.columns: tuple[str, ...] = ("number", "letter")
        self.results: list[MemoryResult] = []
        self.statements: list[tuple[str, object]] = []
        self.notes: dict[int, tuple[object, str]] = {}
        self.told: list[tuple[Any, ...]] = []
        self.in_threads: list[str] = []

    def result_of(self, function: Callable[..., object]) -> UpstreamResult:
        if function not in self.upstreams:
            raise UndeclaredDependency("not declared")
        result = self.upstreams[function]
        if result is None:
            raise UpstreamHasNoResult("it failed")
        return result

    async def results_of(self, function: Callable[..., object], limit: int) -> list[UpstreamResult]:
        await anyio.sleep(0)
        result = self.upstreams.get(function)
        return [result] * limit if result is not None else []

    def relation(self, reference: Reference) -> str:
        return f'"main"."{reference.name}"'

    async def query(
        self, sql: str, parameters: Any, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> MemoryResult:
        await anyio.sleep(0)
        self.statements.append((sql, parameters))
        self.results.append(MemoryResult(self.columns, self.rows))
        return self.results[-1]

    async def execute(self, sql: str, parameters: Any) -> None:
        await anyio.sleep(0)
        self.statements.append((sql, parameters))

    def connection(self) -> Any:
        return self

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self.told.append((done, total, message))

    def log(self, message: str, level: str, fields: Mapping[str, object]) -> None:
        self.told.append((message, level, dict(fields)))

    def wait(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        try:
            anyio.get_current_task()
        except RuntimeError:
            return anyio.run(function, *args)
        raise MissingAwait("called on the event loop")

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        self.in_threads.append(getattr(function, "__name__", "?"))
        return await anyio.to_thread.run_sync(function, *args)

    def note(self, token: object, message: str | None) -> None:
        if message is None:
            self.notes.pop(id(token), None)
        else:
            self.notes[id(token)] = (token, message)

    @property
    def left_undone(self) -> list[str]:
        return [message for _, message in self.notes.values()]


@pytest.fixture
def session() -> MemorySession:
    return MemorySession()
