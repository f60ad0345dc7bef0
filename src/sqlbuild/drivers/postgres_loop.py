"""The event loop that connections of asyncpg live on: the run's own on asyncio, one in a thread beside it on trio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

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
