"""What `ctx.map` does to its items on both sides: keys, what is kept of them, progress, and whom an error names."""

from __future__ import annotations

import functools
import inspect
import json
import reprlib
import time
from collections.abc import Callable, Sized
from typing import Any

from sqlbuild.authoring.callers import place_of_caller
from sqlbuild.authoring.pool_blocks import checked_pools
from sqlbuild.errors import MapError
from sqlbuild.interfaces.node_work import MapOrder, NodeWork

Progress = Callable[[float, float | None, str | None], None]

DEFAULT_LIMIT = 64
"""Calls at once where none is given."""

_PROGRESS_SECONDS = 0.1
_PLAIN = frozenset({type(None), bool, int, str, float})


class MapCall:
    """One `ctx.map(...)`. Items are counted from 0; keys are JSON text."""

    __slots__ = ("_ended", "_order", "_progress", "_shows", "_stored", "_told_at", "_used", "_work", "done", "total")

    def __init__(self, work: NodeWork, progress: Progress, order: MapOrder) -> None:
        self._work = work
        self._progress = progress
        self._order = order
        self._used: dict[str, int] = {}
        keyed = order.key is not None
        self._stored = work.checkpoints(order.scope) if keyed else {}
        self._ended = work.keys_of_ended_maps(order.scope) if keyed else set[str]()
        self.done = 0
        self.total = len(order.items) if isinstance(order.items, Sized) else None
        # Of maps within maps, and beside each other, the first one is shown.
        self._shows = work.begin_map()
        self._told_at = 0.0
        self.tell()

    def key_of(self, index: int, item: object) -> str | None:
        """Raises MapError for a key that another item has."""
        make_key = self._order.key
        if make_key is None:
            return None
        value = make_key(item)
        if value is None:
            raise MapError("ctx.map(): key gave None", help="let it give each item a text or number of its own")
        key = self._work.json_text(value, "key")
        other = self._used.setdefault(key, index)
        if other != index:
            raise MapError(
                f"ctx.map(): the items {other} and {index} have the same key {_bounded(value)}",
                help="keys say which items are done, so let `key` give each item a key of its own",
            )
        if key in self._ended:
            raise MapError(
                f"ctx.map(): the key {_bounded(value)} was given to an earlier ctx.map() of {self._order.scope} too",
                help="give each piece of work a key of its own, for example key=lambda item: (day, item.id)",
            )
        return key

    def is_done(self, key: str | None) -> bool:
        return key is not None and key in self._stored

    def stored(self, key: str) -> Any:
        return json.loads(self._stored[key])

    def text_of(self, value: object) -> str:
        """JSON text of a result. Raises UnstorableResult."""
        return self._work.json_text(value, "the result of an item with a key")

    def advance(self, count: int) -> None:
        self.done += count
        if self._shows:
            now = time.monotonic()
            if now - self._told_at >= _PROGRESS_SECONDS or self.done == self.total:
                self._told_at = now
                self.tell()

    def tell(self) -> None:
        if self._shows:
            self._progress(self.done, self.total, None)

    def end(self, *, completed: bool) -> None:
        if completed:
            self._ended.update(self._used)
        if self._shows:
            self._shows = False
            self._work.end_map()


def as_read_later(value: object, text: str) -> Any:
    """A result as a later attempt finds it: what JSON makes of it."""
    return value if type(value) in _PLAIN else json.loads(text)


def blame(error: BaseException, index: int, item: object, key: str | None) -> None:
    """Let `error` say which item it came from."""
    with_key = "" if key is None else f" (key {key if len(key) <= 100 else key[:100] + '...'})"
    error.add_note(f"in ctx.map(), item {index}{with_key}: {_bounded(item)}")


def map_order(
    fn: Callable[[Any], Any],
    items: Any,
    limit: int | None,
    pool: object,
    key: Callable[[Any], object] | None,
) -> MapOrder:
    """Raises TypeError and ValueError for arguments that make no sense."""
    if not callable(fn):
        raise TypeError(f"ctx.map(): fn must be a function, not {type(fn).__name__}")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise TypeError(f"ctx.map(): limit must be a whole number, not {limit!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"ctx.map(): limit must be 1 or more, not {limit}")
    if key is not None and not callable(key):
        raise TypeError(f"ctx.map(): key must be a function of an item, not {type(key).__name__}")
    pools: tuple[str, ...] = ()
    if pool is not None:
        pools = checked_pools("ctx.map(): pool", tuple(pool) if isinstance(pool, list | tuple) else (pool,))
    return MapOrder(fn=fn, items=items, scope=_name_of(fn), limit=limit or DEFAULT_LIMIT, pools=pools, key=key)


def not_async(fn: Callable[..., object]) -> MapError:
    """For an `async def` node whose function does not give something to await."""
    return MapError(
        f"ctx.map() of an async node takes an async function; {_name_of(fn)} is not one",
        help="write `async def`; what blocks can be awaited as `anyio.to_thread.run_sync(function, item)`",
    )


def not_sync(fn: Callable[..., object], value: object) -> MapError:
    """For a `def` node whose function gives something to await."""
    if inspect.iscoroutine(value):
        value.close()
    return MapError(
        f"ctx.map() of a `def` node takes a plain function; {_name_of(fn)} is async",
        help="make the node `async def` and write `await ctx.map(...)`, or the function `def`",
    )


def not_iterable(items: object) -> TypeError:
    return TypeError(f"ctx.map() at {place_of_caller()}: {type(items).__name__} cannot be iterated")


def _name_of(fn: Callable[..., object]) -> str:
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", None)
    return name if isinstance(name, str) else type(fn).__qualname__


def _bounded(value: object) -> str:
    short = reprlib.Repr()
    short.maxother = short.maxstring = 100
    text = short.repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
