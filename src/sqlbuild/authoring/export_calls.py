"""`ctx.export(...)`: its arguments are checked, and Arrow data is handed on batch by batch.

Whoever gives the batches waits for whoever writes them: no more than one is on its way.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterable, Generator, Iterable, Iterator, Sequence
from typing import Any

from sqlbuild.authoring.columnar import is_columnar, record_batches
from sqlbuild.authoring.pending import Pending
from sqlbuild.domain.exports import ExportFormat, ExportResult
from sqlbuild.errors import NodeError
from sqlbuild.interfaces.exporting import ExportOrder
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.refs import Reference

BATCH_ROWS = 65_536
"""Larger batches are handed on in parts."""

Path = str | os.PathLike[str]


def export_order(
    path: object, format: object, partition_by: object, cursor: object, check_columns: object, what: object
) -> ExportOrder:
    """Raises TypeError and ValueError."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"ctx.export(): path must be a text or a path, not {type(path).__name__}")
    written = os.fspath(path)
    if not isinstance(written, str):
        raise TypeError("ctx.export(): path must be a text, not bytes")
    if format is not None and format not in tuple(ExportFormat):
        raise ValueError(f"ctx.export(): format must be one of {', '.join(ExportFormat)}, not {format!r}")
    if cursor is not None and not isinstance(cursor, str):
        raise TypeError(f"ctx.export(): cursor must be the name of a column, not {type(cursor).__name__}")
    if cursor is not None and not isinstance(what, Reference | str):
        raise ValueError("ctx.export(): cursor needs model(), source() or SQL; it cannot leave rows out of Arrow data")
    if not isinstance(check_columns, bool):
        raise TypeError(f"ctx.export(): check_columns must be True or False, not {check_columns!r}")
    return ExportOrder(
        path=written,
        format=None if format is None else ExportFormat(str(format)),
        partition_by=_columns(partition_by),
        cursor=cursor,
        check_columns=check_columns,
    )


def _columns(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise TypeError('ctx.export(): partition_by takes names of columns, as in ["country"]')
    if len({name.lower() for name in names}) < len(names):
        raise ValueError(f"ctx.export(): partition_by names a column twice: {', '.join(names)}")
    return tuple(names)


def export_blocking(session: NodeSession, what: Any, order: ExportOrder) -> ExportResult:
    """On a `def` node's thread."""
    if isinstance(what, Reference | str):
        return session.wait(session.exports.copy, what, order)
    if isinstance(what, AsyncIterable) and not is_columnar(what):
        raise NodeError(
            "ctx.export() of a `def` was given something to be gone through with `async for`",
            help="make the function `async def`",
        )
    number = session.wait(session.exports.begin, order)
    parts = _all_parts(_items(what))
    try:
        for batch in parts:
            session.wait(session.exports.write, number, batch)
        return session.wait(session.exports.finish, number)
    finally:
        session.exports.discard(number)
        parts.close()


def export_awaited(session: NodeSession, what: Any, order: ExportOrder) -> Pending[ExportResult]:
    return Pending(session, "ctx.export(...)", _export, session, what, order)


async def _export(session: NodeSession, what: Any, order: ExportOrder) -> ExportResult:
    exports = session.exports
    if isinstance(what, Reference | str):
        return await exports.copy(what, order)
    number = await exports.begin(order)
    try:
        if isinstance(what, AsyncIterable) and not is_columnar(what):
            await _write_async(session, number, what)
        else:
            parts = _all_parts(_items(what))
            try:
                await _write_parts(session, number, parts)
            finally:
                parts.close()
        return await exports.finish(number)
    finally:
        exports.discard(number)


async def _write_async(session: NodeSession, number: int, what: AsyncIterable[Any]) -> None:
    items = aiter(what)
    try:
        async for item in items:
            await _write_parts(session, number, _parts(item))
    finally:
        if inspect.isasyncgen(items):
            # What gives the batches is not always gone through to its end; its `finally` runs now.
            await items.aclose()


async def _write_parts(session: NodeSession, number: int, parts: Iterator[Any]) -> None:
    """What is gone through with `for` may block, which must not happen on the event loop."""
    while (batch := await session.in_thread(next, parts, None)) is not None:
        await session.exports.write(number, batch)


def _items(what: Any) -> Iterator[Any]:
    if is_columnar(what):
        return iter((what,))
    if not isinstance(what, Iterable) or isinstance(what, bytes):
        raise TypeError(
            "ctx.export() takes model(), source(), SQL, Arrow data, a dataframe or an iterable of record batches, "
            f"not {type(what).__name__}"
        )
    return iter(what)


def _all_parts(items: Iterator[Any]) -> Generator[Any, None, None]:
    try:
        for item in items:
            yield from _parts(item)
    finally:
        if inspect.isgenerator(items):
            items.close()


def _parts(item: Any) -> Iterator[Any]:
    """Record batches of at most `BATCH_ROWS` rows."""
    if not is_columnar(item):
        raise NodeError(
            f"ctx.export() was given an iterable of {type(item).__name__}, which is no Arrow data",
            help="give record batches or tables; pyarrow.Table.from_pylist(rows) makes a table of dicts",
        )
    for batch in record_batches(item):
        if batch.num_rows <= BATCH_ROWS:
            yield batch
            continue
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)
