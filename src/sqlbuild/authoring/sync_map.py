"""`ctx.map` of a `def` node: the caller's thread works through the items, and threads that are idle help."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from typing import Any

from sqlbuild.authoring.map_calls import MapCall, as_read_later, blame, not_iterable, not_sync
from sqlbuild.authoring.pool_blocks import PoolBlock
from sqlbuild.errors import MapError
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.interfaces.node_work import MapOrder


def map_on_threads(session: NodeSession, order: MapOrder) -> list[Any]:
    """Results in the order of the items. Raises the first error, when what ran beside it has ended."""
    if isinstance(order.items, AsyncIterable):
        raise MapError(
            "ctx.map() of a `def` node takes no async iterable", help="make the node `async def`, or collect the items"
        )
    if not isinstance(order.items, Iterable) and not hasattr(order.items, "__getitem__"):
        raise not_iterable(order.items)
    return _ThreadedMap(session, order).run(iter(order.items))


def _never() -> bool:
    return False


class _ThreadedMap:
    """The lock guards all that threads share; the author's function is called without it."""

    def __init__(self, session: NodeSession, order: MapOrder) -> None:
        self._session = session
        self._order = order
        self._call = MapCall(session.work, session.progress, order)
        self._lock = threading.Lock()
        self._somebody_ended = threading.Condition(self._lock)
        self._at_work = 0
        self._results: list[Any] = []
        self._error: BaseException | None = None
        self._exhausted = False
        self._items: Iterator[Any] = iter(())

    def run(self, items: Iterator[Any]) -> list[Any]:
        self._items = items
        context = contextvars.copy_context()
        helpers = self._order.limit - 1
        if self._call.total is not None:
            helpers = min(helpers, self._call.total - 1)
        stop_help = (
            self._session.work.lend_threads(lambda wanted: context.copy().run(self._work, wanted), helpers)
            if helpers > 0
            else None
        )
        try:
            self._work(_never)
        finally:
            if stop_help is not None:
                stop_help()
            with self._lock:
                self._exhausted = True
                # What was begun cannot be stopped, and its result may have to be kept.
                self._somebody_ended.wait_for(lambda: self._at_work == 0)
            self._call.end(completed=self._error is None)
        if self._error is not None:
            raise self._error
        return self._results

    def _work(self, wanted_elsewhere: Callable[[], bool]) -> bool:
        """Call the function for one item after the other; whether more may be left. Never raises."""
        with self._lock:
            self._at_work += 1
        try:
            while not self._exhausted:
                if wanted_elsewhere():
                    return True
                self._session.work.refuse_when_stopping()
                with self._lock:
                    entry = None if self._exhausted else self._next()
                if entry is not None:
                    self._do(*entry)
        except BaseException as error:  # noqa: BLE001 - on a helper's thread nobody else could hear of it
            self._fail(error)
        finally:
            with self._lock:
                self._at_work -= 1
                self._somebody_ended.notify_all()
        return False

    def _next(self) -> tuple[int, Any] | None:
        try:
            item = next(self._items)
        except StopIteration:
            self._exhausted = True
            return None
        self._results.append(None)
        return len(self._results) - 1, item

    def _do(self, index: int, item: Any) -> None:
        key: str | None = None
        try:
            with self._lock:
                key = self._call.key_of(index, item)
            if key is not None and self._call.is_done(key):
                self._results[index] = self._call.stored(key)
            else:
                self._results[index] = self._called(item, key)
        except BaseException as error:  # noqa: BLE001 - whatever an item does, the first error is the map's
            blame(error, index, item, key)
            self._fail(error)
        else:
            with self._lock:
                self._call.advance(1)

    def _called(self, item: Any, key: str | None) -> Any:
        fn = self._order.fn
        if self._order.pools:
            with PoolBlock(self._session, self._order.pools):
                value = fn(item)
        else:
            value = fn(item)
        if hasattr(value, "__await__"):
            raise not_sync(fn, value)
        if key is None:
            return value
        text = self._call.text_of(value)
        self._session.work.keep(self._order.scope, ((key, text),))
        return as_read_later(value, text)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._exhausted = True
            if self._error is None:
                self._error = error
