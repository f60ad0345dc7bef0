"""Loaders: what the author's function returns or yields is staged batch by batch, then applied in one transaction.

load_sync, load_async     the function is called
  pull_*                  rows are collected, each full batch is staged before more rows are asked for
  ending                  what else it returned, and what it has left undone, is looked at
  LoadSession.apply       the staged rows get into the table
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from sqlbuild.authoring.columnar import is_columnar
from sqlbuild.domain.nodes import Loader
from sqlbuild.domain.record import record
from sqlbuild.domain.results import NodeValue, Skip
from sqlbuild.errors import NodeError
from sqlbuild.interfaces.loading import Loaded, RowBatch
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.runner.kinds.calling import call_function
from sqlbuild.runner.node_output import begin_output, end_output
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.runner.row_batches import RowBatches, are_dicts

_ENDED = object()


class Ending(Protocol):
    """What a value that is no rows means, when all of them are staged. Raises NodeError."""

    def __call__(self, node: Loader, value: object, session: Any, max_bytes: int) -> Outcome: ...


@record(slots=True)
class Pulled:
    """`rows` is None for a loader that gave none because it fills the table itself."""

    rows: int | None
    value: object = None
    """What it returned beside them: None, ctx.result(...), ctx.skip(...) or what is an error."""


def load_sync(node: Loader, context: object, session: NodeSession, max_bytes: int, ending: Ending) -> Outcome:
    """On a worker thread, or in a worker process."""
    session.wait(session.loading.start)
    token = begin_output(session.log)
    try:
        value = call_function(node, context, session)
        pulled = _pull_sync(node, value, session)
    finally:
        end_output(token)
    outcome = ending(node, pulled.value, session, max_bytes)
    if not isinstance(outcome, Returned):
        return outcome
    if pulled.rows is None:
        return _filled_itself(node, session.wait(session.loading.has_table), outcome)
    return _with_facts(node, outcome, session.wait(session.loading.apply), session, max_bytes)


async def load_async(node: Loader, context: object, session: NodeSession, max_bytes: int, ending: Ending) -> Outcome:
    """On the event loop."""
    await session.loading.start()
    token = begin_output(session.log)
    try:
        value = call_function(node, context, session)
        if inspect.isawaitable(value):
            value = await value
        pulled = await _pull_async(node, value, session)
    finally:
        end_output(token)
    outcome = ending(node, pulled.value, session, max_bytes)
    if not isinstance(outcome, Returned):
        return outcome
    if pulled.rows is None:
        return _filled_itself(node, await session.loading.has_table(), outcome)
    return _with_facts(node, outcome, await session.loading.apply(), session, max_bytes)


def _pull_sync(node: Loader, value: object, session: NodeSession) -> Pulled:
    given = _rows_of(node, value)
    if given is None:
        return Pulled(None, value)
    if isinstance(given, AsyncIterable):
        raise NodeError(
            f"{node.declared.name} is a `def` and returned something to be gone through with `async for`",
            help="make the function `async def`",
        )
    batches = RowBatches(node.batch_rows)

    def stage(batch: RowBatch) -> None:
        session.wait(session.loading.stage, batch)

    iterator = iter(given)
    try:
        ended_with = _pull(iterator, batches, stage)
        for batch in batches.flush():
            stage(batch)
    finally:
        if inspect.isgenerator(iterator):
            iterator.close()
    return Pulled(batches.rows, ended_with)


def _pull(iterator: Iterator[Any], batches: RowBatches, stage: Callable[[RowBatch], None]) -> object:
    """Go through what a loader gives until it ends; returns what it ended with."""
    pending = batches.pending
    while True:
        try:
            item = next(iterator)
        except StopIteration as ended:
            return _returned_by_generator(ended.value)
        if type(item) is dict:
            pending.append(item)
            if len(pending) >= batches.limit:
                stage(batches.cut())
        elif isinstance(item, Skip | NodeValue):
            return item
        else:
            for batch in batches.take(item):
                stage(batch)


def _returned_by_generator(value: object) -> object:
    if value is None or isinstance(value, Skip | NodeValue):
        return value
    raise NodeError(
        f"a loader with `yield` in it returned an object of type {type(value).__qualname__}, which Python drops",
        help="yield the rows, or leave `yield` out and return all of them",
    )


async def _pull_async(node: Loader, value: object, session: NodeSession) -> Pulled:
    given = _rows_of(node, value)
    if given is None:
        return Pulled(None, value)
    batches = RowBatches(node.batch_rows)
    if isinstance(given, AsyncIterable):
        ended_with = await _pull_from_async(given, batches, session)
    else:
        ended_with = await _pull_in_threads(iter(given), batches, session)
    for batch in await session.in_thread(batches.rest):
        await session.loading.stage(batch)
    return Pulled(batches.rows, ended_with)


async def _pull_from_async(given: AsyncIterable[Any], batches: RowBatches, session: NodeSession) -> object:
    pending = batches.pending
    async with _closing(aiter(given)) as iterator:
        async for item in iterator:
            if type(item) is dict:
                pending.append(item)
                if len(pending) >= batches.limit:
                    await session.loading.stage(await session.in_thread(batches.cut))
            elif isinstance(item, Skip | NodeValue):
                return item
            else:
                parts = batches.take(item)
                while (batch := await session.in_thread(_next_batch, parts)) is not None:
                    await session.loading.stage(batch)
    return None


def _next_batch(parts: Iterator[RowBatch]) -> RowBatch | None:
    return next(parts, None)


@contextlib.asynccontextmanager
async def _closing(iterator: AsyncIterator[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """An async generator that is not gone through to its end is closed, so that its `finally` runs now."""
    try:
        yield iterator
    finally:
        if inspect.isasyncgen(iterator):
            await iterator.aclose()


async def _pull_in_threads(iterator: Iterator[Any], batches: RowBatches, session: NodeSession) -> object:
    """What an `async def` returned to be gone through with `for` may block: that must not be on the event loop."""
    ended_with: object = _ENDED

    def fill() -> list[RowBatch]:
        """Go on until something is full."""
        nonlocal ended_with
        full: list[RowBatch] = []
        while not full:
            item = next(iterator, _ENDED)
            if item is _ENDED or isinstance(item, Skip | NodeValue):
                ended_with = None if item is _ENDED else item
                return full
            full.extend(batches.take(item))
        return full

    try:
        while ended_with is _ENDED:
            for batch in await session.in_thread(fill):
                await session.loading.stage(batch)
    finally:
        if inspect.isgenerator(iterator):
            iterator.close()
    return ended_with


def _rows_of(node: Loader, value: object) -> Iterable[Any] | AsyncIterable[Any] | None:
    """What to go through, or None if `value` is no rows. Raises NodeError for what no loader returns."""
    name = node.declared.name
    if value is None and node.write_strategy is not None:
        raise NodeError(
            f"{name} returned None, but its write_strategy {node.write_strategy} needs rows",
            help="return or yield rows, or [] for none; a loader that fills ctx.destination itself has no write_strategy",
        )
    if value is None or isinstance(value, Skip | NodeValue) or inspect.isawaitable(value):
        return None
    if is_columnar(value):
        return (value,)
    if isinstance(value, Mapping):
        raise NodeError(f"{name} returned one dict", help="return a list of dicts, one for each row")
    if isinstance(value, str | bytes) or not isinstance(value, Iterable | AsyncIterable):
        raise NodeError(
            f"{name} returned an object of type {type(value).__qualname__}, which holds no rows",
            help="return an iterable of dicts, an Arrow table or a dataframe, or yield them",
        )
    if isinstance(value, list) and are_dicts(value):
        # Taken as one page of rows, they need not be looked at one by one.
        return (value,)
    return value


def _filled_itself(node: Loader, has_table: bool, outcome: Returned) -> Outcome:
    if not has_table and outcome.payload is None and outcome.metadata is None:
        raise NodeError(
            f"{node.declared.name} returned None, so it fills its table itself, but there is no such table",
            help="return or yield rows, or write to ctx.destination with ctx.execute_sql(...)",
        )
    return outcome


def _with_facts(node: Loader, outcome: Returned, loaded: Loaded, session: NodeSession, max_bytes: int) -> Returned:
    """What was done is the metadata of a loader that gives none of its own."""
    facts: dict[str, object] = {"rows": loaded.rows, "write_strategy": node.write_strategy or "table"}
    told = {
        "added_columns": loaded.added_columns,
        "widened_columns": loaded.widened_columns,
        "left_out_columns": loaded.left_out_columns,
    }
    facts.update({name: columns for name, columns in told.items() if columns})
    if loaded.left_out_columns:
        session.log(f"left out, all NULL and without a declared type: {', '.join(loaded.left_out_columns)}", "info", {})
    if not loaded.has_table:
        session.log(
            "no rows and no declared columns: there is no table yet; declare `columns` to have an empty one",
            "warning",
            {},
        )
    if outcome.metadata is not None:
        return outcome
    return Returned(outcome.payload, plain_json_text(facts, "metadata", max_bytes), outcome.materialized)
