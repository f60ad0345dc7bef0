"""The event loop that connections of asyncpg live on: the run's own on asyncio, one in a thread beside it on trio; and
calls on it that can be stopped from beside them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sqlbuild.errors import WarehouseError

T = TypeVar("T")


class HomeLoop:
    """Opened and closed in the run; `run` is awaited there."""

    def __init__(self) -> None:
        self._own: asyncio.AbstractEventLoop | None = None
        self._portal: BlockingPortal | None = None
        self._thread = contextlib.ExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_own(self) -> bool:
        """Whether connections live on the very loop that the run is on."""
        return self._own is not None

    async def open(self) -> None:
        try:
            self._own = asyncio.get_running_loop()
        except RuntimeError:  # trio
            self._portal = self._thread.enter_context(start_blocking_portal("asyncio", name="sqlbuild-postgres"))

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            if self._portal is not None:
                self._portal = None
                await anyio.to_thread.run_sync(self._thread.close)
            for task in list(self._tasks):
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._own = None

    async def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Await `function(*args)` on the home loop. A caller that is cancelled cancels it, and waits for its end."""
        if self._portal is None:
            return await function(*args)
        return await self._portal.call_async(function, *args)

    def post(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Start `function(*args)`, which does not raise, on the home loop and go on; from any thread."""
        if self._portal is not None:
            with contextlib.suppress(RuntimeError):  # it is being closed, and its connections with it
                self._portal.start_task_soon(function, *args)
        elif self._own is not None and not self._own.is_closed():
            self._own.call_soon_threadsafe(self._start, function, *args)

    def _start(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        async def call() -> None:
            await function(*args)

        task = asyncio.get_running_loop().create_task(call())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@functools.cache
def _scope_of_asyncio() -> type[anyio.CancelScope]:
    """What `anyio.CancelScope()` is on every home loop, without looking up for each call which loop it is on."""
    return type(anyio.CancelScope())


class InterruptibleCalls:
    """Calls on the home loop, all of which can be ended there by another one."""

    def __init__(self) -> None:
        self._running: dict[anyio.CancelScope, anyio.Event | None] = {}

    def __bool__(self) -> bool:
        """Whether one of them runs."""
        return bool(self._running)

    async def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Raises WarehouseError if it is interrupted."""
        scope = _scope_of_asyncio()()
        self._running[scope] = None
        try:
            with scope:
                return await function(*args)
        finally:
            ended = self._running.pop(scope)
            if ended is not None:
                ended.set()
        raise WarehouseError("the statement was interrupted")

    async def interrupt(self) -> None:
        """Returns when they have ended."""
        for scope in list(self._running):
            if scope not in self._running:
                continue
            ended = self._running[scope] = self._running[scope] or anyio.Event()
            scope.cancel()
            await ended.wait()
