"""The rows of a PostgreSQL query on their way to a DuckDB in memory: the server's COPY, through a pipe, as CSV.

    copied_query            what the server is asked for, and how DuckDB reads it
    ServerCopy              COPY ... TO STDOUT into one pipe, or into several, one after the other
    copy_through_duckdb     DuckDB writes the rows into a file

Neither side holds the rows: a slow reader makes the server wait. Everything here runs on the home loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.drivers.embedded_duckdb import EmbeddedDuckDB
from sqlbuild.drivers.postgres_copied_types import TEXT, CopiedColumn, copied_columns
from sqlbuild.drivers.postgres_pipe import PipeBroken, RowPipe
from sqlbuild.errors import WarehouseError

# What is written in the text of values; neither the order of day and month nor the time zone, which mean something.
SETTINGS = """
SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1
"""
_LITERALS = "SELECT pg_catalog.format_type(type, -1) FROM unnest($1::oid[]) WITH ORDINALITY AS t (type, n) ORDER BY n"

_CHANGING = frozenset({"insert", "update", "delete", "merge"})
_COPIED = frozenset({"select", "values", "table", "with"}) | _CHANGING

ROW_BYTES = (4_000_000, 64_000_000, 1_100_000_000)
"""What a row may have, from one attempt to the next: DuckDB holds a few times as much. PostgreSQL sends no larger one."""

# The server sends rows one by one: a moment's wait makes a large piece of many small ones, for half of the work.
_SMALL_BYTES = 65_536
_WAIT_SECONDS = 0.001
_WAIT_AFTER_BYTES = 1_000_000

_REFUSED = pattern(r"Error when converting column \"c(\d+)\"\. Could not convert string \"(.*?)\" to '", re.DOTALL)
_NO_VALUE = pattern(r"Could not convert string '(.*?)' to ([A-Z_]+)", re.DOTALL)
_RAISED = pattern(r"(?:Conversion Error|Invalid Input Error): ((?:column|timestamp|date|time) .*)")
_MAX_SHOWN = 100


@record(frozen=True, slots=True, kw_only=True)
class QueryText:
    """What is done to the text of a statement: `one_query` takes its end off or raises WarehouseError, `first_word`
    tells the kind, `with_literals` puts values in the place of `$1`, `$2`."""

    one_query: Callable[[str], str]
    first_word: Callable[[str], str]
    with_literals: Callable[[str, Sequence[str]], str]


@record(frozen=True, slots=True, kw_only=True)
class CopiedQuery:
    """`sql` stands in COPY; `asked` is what it was made of."""

    sql: str
    asked: str
    columns: tuple[CopiedColumn, ...]
    time_zone: str

    def with_texts(self, types: Collection[str]) -> CopiedQuery:
        """The same with PostgreSQL's own text instead of values of these types of DuckDB."""
        columns = tuple(
            dataclasses.replace(column, scalar=TEXT) if column.scalar in types else column for column in self.columns
        )
        return dataclasses.replace(self, columns=columns)

    def read_by_duckdb(self, path: str, row_bytes: int) -> str:
        """DuckDB's query for the rows from the file `path`."""
        values = ", ".join(
            f"{column.read_from(f'c{number}')} AS {_quoted(column.name)}" for number, column in enumerate(self.columns)
        )
        types = ", ".join(f"'c{number}': '{column.read_as}'" for number, column in enumerate(self.columns))
        return (
            f"SELECT {values} FROM read_csv('{path}', columns = {{{types}}}, auto_detect = false, header = false, "
            "delim = ',', quote = '\"', escape = '\"', new_line = '\\n', nullstr = '', allow_quoted_nulls = false, "
            f"max_line_size = {row_bytes}, buffer_size = {row_bytes * 2})"
        )

    def refused(self, error: WarehouseError) -> WarehouseError:
        """What DuckDB says, in words of the query: a value that its type cannot hold."""
        message = str(error.args[0])
        if found := _REFUSED.search(message):
            column = self.columns[int(found[1])]
            return WarehouseError(
                f"column {column.name} ({column.type}): {found[2][:_MAX_SHOWN]} cannot be written as {column.scalar}",
                help=f"leave such values out, or write {_quoted(column.name)}::text in the query",
                sql=self.asked,
            )
        if found := _NO_VALUE.search(message):
            message = f"{found[1][:_MAX_SHOWN]} cannot be written as {found[2]}"
        elif found := _RAISED.match(message):
            message = found[1]
        else:
            return WarehouseError(message, help=error.help, sql=self.asked)
        return WarehouseError(
            message, help="leave such values out, or cast the column to text in the query", sql=self.asked
        )


async def copied_query(raw: Any, sql: str, values: Sequence[object], text: QueryText) -> CopiedQuery:
    """Within the transaction that will copy it: what the server is asked for and what it gives.

    Raises WarehouseError for statements that COPY does not take.
    """
    query = text.one_query(sql)
    word = text.first_word(query)
    if word not in _COPIED:
        raise WarehouseError(
            f"PostgreSQL copies the rows of a query, not of {word.upper() or 'this'}",
            help="give a SELECT, or read the rows without Arrow",
            sql=sql,
        )
    await raw.execute(SETTINGS)
    if values:
        query = text.with_literals(query, await _literals(raw, query, values))
    columns = await copied_columns(raw, await raw.prepare(query))
    if not columns:
        raise WarehouseError("the statement gives no columns", help="name at least one after SELECT", sql=sql)
    copied = f"{query}\n"  # its last line may be a comment
    if any(column.is_array for column in columns):
        names = [f"c{number}" for number in range(len(columns))]
        sent = ", ".join(column.on_the_server(name) for column, name in zip(columns, names, strict=True))
        given = ", ".join(names)
        if word in _CHANGING:
            copied = f"WITH q ({given}) AS ({query}\n) SELECT {sent} FROM q"
        else:
            copied = f"SELECT {sent} FROM ({query}\n) AS q ({given})"
    time_zone = raw.get_settings().TimeZone
    return CopiedQuery(sql=copied, asked=sql, columns=columns, time_zone=time_zone)


async def _literals(raw: Any, query: str, values: Sequence[object]) -> list[str]:
    """COPY takes no parameters: their text comes from the server, which quotes it."""
    parameters = (await raw.prepare(query)).get_parameters()
    names = [name for (name,) in await raw.fetch(_LITERALS, [parameter.oid for parameter in parameters])]
    texts = ", ".join(f"pg_catalog.format('%L', ${number}::{name})" for number, name in enumerate(names, 1))
    quoted = await raw.fetchrow(f"SELECT {texts}", *values)
    return [f"(CAST({literal} AS {name}))" for literal, name in zip(quoted, names, strict=True)]


class _TooLargeRow(Exception):
    def __init__(self, row_bytes: int) -> None:
        super().__init__(row_bytes)
        self.row_bytes = row_bytes


class ServerCopy:
    """A COPY that runs beside whoever reads its pipe. Begun when it is made; `stop` whatever happens.

    What comes in one piece are whole rows, so no row is larger than its piece. With `goes_on` a large one begins a new
    pipe, whose reader must take larger rows, and the one before ends; without it the COPY fails with `_TooLargeRow`.
    """

    def __init__(self, raw: Any, sql: str, row_bytes: int, *, goes_on: bool) -> None:
        self._raw = raw
        self._goes_on = goes_on
        self._bytes = 0
        self._taking = False
        self._broken = False
        self._too_large: _TooLargeRow | None = None
        self.row_bytes = row_bytes
        self.pipe = RowPipe()
        self._pipes = [self.pipe]
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(sql))

    async def count(self) -> int:
        """How many rows there were, when the pipe was read to its end. Raises what the COPY has failed with."""
        await asyncio.wait([self._task])
        if self._too_large is not None:
            raise self._too_large
        if self._task.cancelled() or isinstance(self._task.exception(), PipeBroken):
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise WarehouseError("the statement was interrupted")
        return int(self._task.result().rpartition(" ")[2])

    async def end(self, read: int) -> None:
        """Raises what the COPY has failed with, and WarehouseError if so many rows are not all."""
        sent = await self.count()
        if read != sent:
            raise WarehouseError(f"PostgreSQL sent {sent} rows, and DuckDB read {read}")

    def break_off(self) -> None:
        """The reader sees an end, and the server is told to stop; may be called again."""
        self._broken = True
        for pipe in self._pipes:
            pipe.break_off()
        self._loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        # What asyncpg does when it is cancelled while it hands rows out would leave it waiting for an answer that never
        # comes if these are the last ones; while it waits for the server it does well.
        if not self._taking:
            self._task.cancel()

    async def failure(self) -> BaseException | None:
        """What the COPY has failed with by itself, rather than because its reader did; nobody may read any more."""
        await self.stop()
        error = None if self._task.cancelled() else self._task.exception()
        return None if isinstance(error, PipeBroken) else error

    async def stop(self) -> None:
        """Returns when the COPY has ended; nobody may read any more."""
        with anyio.CancelScope(shield=True):
            if not self._task.done():
                self.break_off()
            await asyncio.wait([self._task])
            for pipe in self._pipes:
                pipe.close()
        if not self._task.cancelled():
            self._task.exception()  # whoever wanted to know has asked; asyncio else complains that nobody did

    async def _run(self, sql: str) -> str:
        try:
            status: str = await self._raw.copy_from_query(sql, output=self._take, format="csv", encoding="UTF8")
            await self.pipe.finish()
            return status
        finally:
            self.pipe.break_off()

    async def _take(self, rows: bytes) -> None:
        """Never raises, see `_cancel`."""
        self._taking = True
        try:
            await self._pass_on(rows)
        except PipeBroken:
            self._broken = True
        finally:
            self._taking = False
        if self._broken:
            self._loop.call_soon(self._cancel)

    async def _pass_on(self, rows: bytes) -> None:
        if len(rows) > self.row_bytes:
            await self._enlarge(len(rows))
        await self.pipe.write(rows)
        self._bytes += len(rows)
        if len(rows) < _SMALL_BYTES and self._bytes > _WAIT_AFTER_BYTES:
            await asyncio.sleep(_WAIT_SECONDS)

    async def _enlarge(self, size: int) -> None:
        enough = next((each for each in ROW_BYTES if each >= size), ROW_BYTES[-1])
        if not self._goes_on:
            self._too_large = _TooLargeRow(enough)
            raise PipeBroken
        before, self.pipe = self.pipe, RowPipe()
        self._pipes.append(self.pipe)
        self.row_bytes = enough
        await before.finish()


@record(frozen=True, slots=True, kw_only=True)
class DuckDBOrder:
    """What DuckDB does with the rows of the server's query `sql`: the statement that `command` makes of a query for them.

    `command` is called on a thread, and again if the first attempt met a row that was too large for it. Types of DuckDB
    in `as_text` come as PostgreSQL's own text.
    """

    sql: str
    command: Callable[[str], str]
    as_text: Collection[str] = ()


async def copy_through_duckdb(
    raw: Any, order: DuckDBOrder, text: QueryText, duckdb: EmbeddedDuckDB
) -> tuple[list[tuple[Any, ...]], int]:
    """The rows that DuckDB's statement itself gives, and how many the server has sent.

    Nothing of DuckDB stays. Errors are WarehouseError and those of asyncpg.
    """
    row_bytes = ROW_BYTES[0]
    while True:
        try:
            return await _copy_once(raw, order, text, duckdb, row_bytes)
        except _TooLargeRow as large:
            row_bytes = large.row_bytes


async def _copy_once(
    raw: Any, order: DuckDBOrder, text: QueryText, duckdb: EmbeddedDuckDB, row_bytes: int
) -> tuple[list[tuple[Any, ...]], int]:
    async with raw.transaction():
        query = (await copied_query(raw, order.sql, (), text)).with_texts(order.as_text)
        copy = ServerCopy(raw, query.sql, row_bytes, goes_on=False)
        session = duckdb.session(time_zone=query.time_zone, interrupt=copy.break_off)
        try:
            rows = await session.rows(lambda: order.command(query.read_by_duckdb(copy.pipe.path, row_bytes)))
            return rows, await copy.count()
        except WarehouseError as error:
            failed = await copy.failure()
            if failed is not None:
                raise failed from None
            raise query.refused(error) from error
        finally:
            await copy.stop()
            await session.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
