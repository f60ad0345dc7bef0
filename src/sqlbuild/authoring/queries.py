"""What `ctx.query(...)` gives: rows, one value, or columnar data, read forward once.

One reader over the asynchronous `OpenResult` of the warehouse; `Query` and `AsyncQuery` are its two faces.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from sqlbuild.authoring.callers import place_of_caller
from sqlbuild.authoring.pending import Pending
from sqlbuild.errors import MissingExtra, NodeError
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.interfaces.warehouse import Extent, OpenResult, Parameters

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

PAGE_ROWS = 1_000
BATCH_ROWS = 65_536

Row = tuple[Any, ...]


class ResultReader:
    """Reads one result; the statement is sent by the first read.

    Rows come in pages of at most `PAGE_ROWS`, so a short result is read to its end by the first `fetchone` and its
    connection slot is free again.
    """

    __slots__ = ("__weakref__", "_arrow", "_ended", "_parameters", "_result", "_session", "_sql", "columns", "rows")

    def __init__(self, session: NodeSession, sql: str, parameters: Parameters) -> None:
        self._session = session
        self._sql = sql
        self._parameters = parameters
        self._result: OpenResult | None = None
        self._arrow: bool | None = None
        self._ended = False
        self.rows: deque[Row] = deque()
        """Fetched and not yet handed out."""
        self.columns: tuple[str, ...] = ()

    async def _open(self, *, arrow: bool, extent: Extent = Extent.PAGES) -> OpenResult | None:
        """The open result, or None when it has ended."""
        if self._arrow is None:
            self._arrow = arrow
            self._result = await self._session.query(self._sql, self._parameters, arrow=arrow, extent=extent)
            self.columns = self._result.columns
        elif self._arrow is not arrow:
            already, now = ("batches", "rows") if self._arrow else ("rows", "batches")
            raise NodeError(
                f"this query was read as {already} and cannot be read as {now} too", help="call ctx.query(...) again"
            )
        return None if self._ended else self._result

    async def _end(self) -> None:
        result, self._result = self._result, None
        self._ended = True
        if result is not None and not result.closed:
            await result.close()

    async def _fetch(self, limit: int | None, extent: Extent = Extent.PAGES) -> list[Row]:
        result = await self._open(arrow=False, extent=extent)
        if result is None:
            return []
        rows = await result.fetch(limit)
        if limit is None or len(rows) < limit:
            await self._end()
        return rows

    async def fill(self) -> bool:
        """Fetch the next page; False when no row is left."""
        self.rows.extend(await self._fetch(PAGE_ROWS))
        return bool(self.rows)

    async def fetchone(self) -> Row | None:
        return self.rows.popleft() if self.rows or await self.fill() else None

    async def fetchall(self) -> list[Row]:
        rest = await self._fetch(None, Extent.WHOLE)
        rows = [*self.rows, *rest] if self.rows else rest
        self.rows.clear()
        return rows

    async def fetchmany(self, count: int) -> list[Row]:
        missing = count - len(self.rows)
        if missing > 0:
            self.rows.extend(await self._fetch(max(missing, PAGE_ROWS)))
        return [self.rows.popleft() for _ in range(min(count, len(self.rows)))]

    async def scalar(self) -> Any:
        row = self.rows.popleft() if self.rows else next(iter(await self._fetch(1, Extent.FIRST)), None)
        self.rows.clear()
        await self._end()
        return row[0] if row else None

    async def next_batch(self, rows: int) -> Any:
        """The next Arrow record batch, or None at the end."""
        result = await self._open(arrow=True)
        if result is None:
            return None
        batch = await result.fetch_batch(rows)
        if batch is None:
            await self._end()
        return batch

    async def all_batches(self) -> list[Any]:
        batches = []
        while (batch := await self.next_batch(BATCH_ROWS)) is not None:
            batches.append(batch)
        return batches

    def __del__(self) -> None:
        # Nobody can read the rest any more: let the connection slot go without waiting for the node's end.
        result = getattr(self, "_result", None)
        if result is not None and not result.closed and not sys.is_finalizing():
            with contextlib.suppress(RuntimeError):  # the run is over, and what it held with it
                result.abandon()


class Query:
    """A query of a `def` node. Rows are tuples; the query is sent by the first read and read forward once."""

    __slots__ = ("_reader", "_session")

    def __init__(self, session: NodeSession, sql: str, params: Parameters) -> None:
        self._session = session
        self._reader = ResultReader(session, *checked_statement("ctx.query", sql, params))
        session.note(self, _never_read("ctx.query(...)", ".fetchall()", "ctx.execute_sql(...)"))

    def _wait(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        self._session.note(self, None)
        return self._session.wait(function, *args)

    def fetchone(self) -> Row | Any:
        """The next row, or None when none is left."""
        if self._reader.rows:
            return self._reader.rows.popleft()
        return self._wait(self._reader.fetchone)

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        rows: list[Row] = self._wait(self._reader.fetchall)
        return rows

    def fetchmany(self, n: int) -> list[Row]:
        """The next `n` rows; fewer mean that none is left."""
        rows: list[Row] = self._wait(self._reader.fetchmany, checked_count("n", n))
        return rows

    def scalar(self) -> Any:
        """The first column of the next row, or None when there is no row; the rest is not read."""
        return self._wait(self._reader.scalar)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        rows = self._reader.rows
        if not rows and not self._wait(self._reader.fill):
            raise StopIteration
        return rows.popleft()

    def arrow(self) -> pyarrow.Table:
        """All rows as an Arrow table. Raises MissingExtra without pyarrow."""
        arrow = import_pyarrow()
        return as_table(arrow, self._wait(self._reader.all_batches), self._reader.columns)

    def df(self) -> pandas.DataFrame:
        """All rows as a pandas DataFrame. Raises MissingExtra without pyarrow and pandas."""
        frame: pandas.DataFrame = import_pandas()(self.arrow())
        return frame

    def pl(self) -> polars.DataFrame:
        """All rows as a polars DataFrame. Raises MissingExtra without pyarrow and polars."""
        frame: polars.DataFrame = import_polars()(self.arrow())
        return frame

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pyarrow.RecordBatch]:
        """Arrow record batches of at most `rows` rows, without holding the whole result."""
        import_pyarrow()
        return _Batches(self, checked_count("rows", rows))


class _Batches:
    __slots__ = ("_query", "_rows")

    def __init__(self, query: Query, rows: int) -> None:
        self._query = query
        self._rows = rows

    def __iter__(self) -> Iterator[pyarrow.RecordBatch]:
        return self

    def __next__(self) -> pyarrow.RecordBatch:
        batch = self._query._wait(self._query._reader.next_batch, self._rows)
        if batch is None:
            raise StopIteration
        return batch


class AsyncQuery:
    """A query of an `async def` node: the methods are awaited, the query itself and its batches go in `async for`.

    Rows are tuples; the query is sent by the first read and read forward once.
    """

    __slots__ = ("_reader", "_session")

    def __init__(self, session: NodeSession, sql: str, params: Parameters) -> None:
        self._session = session
        self._reader = ResultReader(session, *checked_statement("ctx.query", sql, params))
        session.note(self, _never_read("ctx.query(...)", ".fetchall()", "ctx.execute_sql(...)"))

    def _pending(self, call: str, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Pending[Any]:
        self._session.note(self, None)
        return Pending(self._session, f"ctx.query(...).{call}", function, *args)

    def fetchone(self) -> Coroutine[Any, Any, Row | Any]:
        """The next row, or None when none is left."""
        return self._pending("fetchone()", self._reader.fetchone)

    def fetchall(self) -> Coroutine[Any, Any, list[Row]]:
        """All rows that are left."""
        return self._pending("fetchall()", self._reader.fetchall)

    def fetchmany(self, n: int) -> Coroutine[Any, Any, list[Row]]:
        """The next `n` rows; fewer mean that none is left."""
        return self._pending(f"fetchmany({n})", self._reader.fetchmany, checked_count("n", n))

    def scalar(self) -> Coroutine[Any, Any, Any]:
        """The first column of the next row, or None when there is no row; the rest is not read."""
        return self._pending("scalar()", self._reader.scalar)

    def __aiter__(self) -> AsyncIterator[Row]:
        return self

    async def __anext__(self) -> Row:
        rows = self._reader.rows
        if not rows:
            self._session.note(self, None)
            if not await self._reader.fill():
                raise StopAsyncIteration
        return rows.popleft()

    def arrow(self) -> Coroutine[Any, Any, pyarrow.Table]:
        """All rows as an Arrow table. Raises MissingExtra without pyarrow."""
        return self._pending("arrow()", self._arrow)

    def df(self) -> Coroutine[Any, Any, pandas.DataFrame]:
        """All rows as a pandas DataFrame. Raises MissingExtra without pyarrow and pandas."""
        return self._pending("df()", self._converted, import_pandas)

    def pl(self) -> Coroutine[Any, Any, polars.DataFrame]:
        """All rows as a polars DataFrame. Raises MissingExtra without pyarrow and polars."""
        return self._pending("pl()", self._converted, import_polars)

    def batches(self, rows: int = BATCH_ROWS) -> AsyncIterator[pyarrow.RecordBatch]:
        """Arrow record batches of at most `rows` rows for `async for`, without holding the whole result."""
        return _AsyncBatches(self, checked_count("rows", rows))

    async def _arrow(self) -> Any:
        in_thread = self._session.in_thread
        # The first import of these libraries and the conversion would stop the event loop for a while.
        arrow = await in_thread(import_pyarrow)
        batches = await self._reader.all_batches()
        return await in_thread(as_table, arrow, batches, self._reader.columns)

    async def _converted(self, importer: Callable[[], Callable[[Any], Any]]) -> Any:
        convert = await self._session.in_thread(importer)
        return await self._session.in_thread(convert, await self._arrow())

    if not TYPE_CHECKING:
        # Hidden from type checkers, which shall report these uses themselves.

        def __await__(self) -> NoReturn:
            raise TypeError(
                "ctx.query(...) is not awaited itself: write `await ctx.query(...).fetchall()` (or fetchone, "
                "fetchmany, scalar, arrow, df, pl), or `async for row in ctx.query(...)`"
            )

        def __iter__(self) -> NoReturn:
            raise TypeError("this context is an async one: write `async for row in ctx.query(...)`")

        def __getitem__(self, key: object) -> NoReturn:
            raise TypeError("ctx.query(...) has no items: write `(await ctx.query(...).fetchall())[...]`")


class _AsyncBatches:
    __slots__ = ("_query", "_rows")

    def __init__(self, query: AsyncQuery, rows: int) -> None:
        self._query = query
        self._rows = rows

    def __aiter__(self) -> AsyncIterator[pyarrow.RecordBatch]:
        return self

    async def __anext__(self) -> pyarrow.RecordBatch:
        query = self._query
        query._session.note(query, None)
        if not query._reader.columns:
            await query._session.in_thread(import_pyarrow)
        batch = await query._reader.next_batch(self._rows)
        if batch is None:
            raise StopAsyncIteration
        return batch

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            raise TypeError("this context is an async one: write `async for batch in ctx.query(...).batches()`")


_QUERY_DEPTH = 4
"""place_of_caller, _never_read, Query, ctx.query."""


def _never_read(call: str, read: str, instead: str) -> str:
    return (
        f"{call} at {place_of_caller(_QUERY_DEPTH)} was never read, so it was never sent: read it with {read}, "
        f"or use {instead} for a statement without rows"
    )


def checked_statement(call: str, sql: object, params: object) -> tuple[str, Parameters]:
    """The arguments of `ctx.query` and `ctx.execute_sql`. Raises TypeError."""
    if not isinstance(sql, str):
        raise TypeError(f"{call}() takes SQL text, not {type(sql).__name__}")
    if params is not None and (isinstance(params, str | bytes) or not isinstance(params, Sequence | Mapping)):
        raise TypeError(f"{call}(): params must be a list, a tuple or a dict, not {type(params).__name__}")
    return sql, params


def checked_count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, not {value}")
    return value


def import_pyarrow() -> ModuleType:
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("this needs the package pyarrow", help="pip install 'sqlbuild[arrow]'") from None
    return pyarrow  # type: ignore[no-any-return]


def import_pandas() -> Callable[[Any], Any]:
    import_pyarrow()
    try:
        import pandas  # noqa: F401 - pyarrow makes the frame, and says nothing helpful without it
    except ImportError:
        raise MissingExtra(".df() needs the package pandas", help="pip install 'sqlbuild[arrow]' pandas") from None
    return lambda table: table.to_pandas()


def import_polars() -> Callable[[Any], Any]:
    import_pyarrow()
    try:
        import polars
    except ImportError:
        raise MissingExtra(".pl() needs the package polars", help="pip install 'sqlbuild[arrow]' polars") from None
    return polars.from_arrow


def as_table(arrow: Any, batches: list[Any], columns: tuple[str, ...]) -> Any:
    """A table of record batches; without any, one of the right columns and no rows."""
    if batches:
        return arrow.Table.from_batches(batches)
    return arrow.Table.from_arrays([arrow.array([], arrow.null()) for _ in columns], names=list(columns))
