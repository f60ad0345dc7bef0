"""From worker threads to the event loop and back, the same on asyncio, uvloop and trio."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio.lowlevel
from anyio.abc import TaskGroup

from sqlbuild.errors import MissingAwait, NodeCancelled

T = TypeVar("T")


class LoopBridge:
    """Made on the event loop's thread; `tasks` owns what worker threads ask the loop to do."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._thread = threading.get_ident()
        self._closed = False
        loop: Any = anyio.lowlevel.current_token().native_token
        self._call_soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Run a function on the event loop, from any thread. Raises RuntimeError when the loop is gone."""
        self._call_soon(function, *args)

    def wait(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """From a worker thread: await `function(*args)` on the event loop.

        Raises NodeCancelled when the run is being stopped, MissingAwait on the event loop's own thread.
        """
        if threading.get_ident() == self._thread:
            raise MissingAwait(
                "the blocking half of ctx was called on the event loop",
                help="in an `async def` node use its own ctx and write `await ctx....`",
            )
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            self._call_soon(self._begin, future, function, args)
        except RuntimeError:  # the loop is gone
            raise NodeCancelled from None
        return future.result()

    def start(self, function: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """On the event loop: run an async function in the background, unless the run is over."""
        if not self._closed:
            self._tasks.start_soon(function)

    def close(self) -> None:
        """Whoever asks from now on gets NodeCancelled."""
        self._closed = True

    def _begin(
        self, future: concurrent.futures.Future[T], function: Callable[..., Awaitable[T]], args: tuple[Any, ...]
    ) -> None:
        if self._closed:
            future.set_exception(NodeCancelled())
        else:
            self._tasks.start_soon(self._serve, future, function, args)

    async def _serve(
        self, future: concurrent.futures.Future[T], function: Callable[..., Awaitable[T]], args: tuple[Any, ...]
    ) -> None:
        try:
            value = await function(*args)
        except anyio.get_cancelled_exc_class():
            future.set_exception(NodeCancelled())
            raise
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            future.set_result(value)
