"""From worker threads to the event loop and back, the same on asyncio, uvloop and trio."""

from __future__ import annotations

import concurrent.futures
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio.lowlevel
from anyio.abc import TaskGroup

from sqlbuild.errors import MissingAwait, NodeCancelled, SqlbuildError

T = TypeVar("T")


class LoopBridge:
    """Made on the event loop's thread. What threads hand over runs inside the task `run`, so errors cannot get lost."""

    def __init__(self) -> None:
        loop: Any = anyio.lowlevel.current_token().native_token
        self._wake_loop = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon
        self._backend = "asyncio" if hasattr(loop, "call_soon_threadsafe") else "trio"
        self._thread = threading.get_ident()
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._bell = anyio.Event()
        self._bell_rung = False
        self._over = False
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Until cancelled: do what threads ask for. Threads that ask later are told that the run is over."""
        try:
            while True:
                await self._bell.wait()
                self._bell, self._bell_rung = anyio.Event(), False
                self._empty_inbox()
        finally:
            self._over = True
            self.close()
            self._empty_inbox()

    def _empty_inbox(self) -> None:
        while self._inbox:
            function, args = self._inbox.popleft()
            function(*args)

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Run a function on the event loop, from any thread. Raises RuntimeError when the loop is gone."""
        if self._over:
            raise RuntimeError("the run is over")
        self._inbox.append((function, args))
        if self._over:
            # It ended in this very moment, and what was appended may never be looked at.
            raise RuntimeError("the run is over")
        if not self._bell_rung:
            self._bell_rung = True
            self._wake_loop(self._ring)

    def ring(self, function: Callable[[], None]) -> None:
        """Run a function within the loop itself, from any thread. Raises RuntimeError when the loop is gone."""
        self._wake_loop(function)

    def _ring(self) -> None:
        self._bell.set()

    @property
    def backend(self) -> str:
        """What runs the event loop: asyncio or trio."""
        return self._backend

    def open(self, tasks: TaskGroup) -> None:
        """From now on async functions asked for by threads run in `tasks`."""
        self._tasks = tasks

    def close(self) -> None:
        """Whoever asks from now on gets NodeCancelled."""
        self._tasks = None

    def start(self, function: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """On the event loop: run an async function in the background, unless the run is over."""
        if self._tasks is not None:
            self._tasks.start_soon(function)

    @property
    def is_open(self) -> bool:
        """False once the run is being stopped."""
        return self._tasks is not None

    @property
    def on_loop(self) -> bool:
        """Whether the caller is on the event loop's thread."""
        return threading.get_ident() == self._thread

    def wait(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """From a worker thread: await `function(*args)` on the event loop.

        Raises NodeCancelled when the run is being stopped, MissingAwait on the event loop's own thread.
        """
        if self.on_loop:
            raise MissingAwait(
                "the blocking half of ctx was called on the event loop",
                help="in an `async def` node use its own ctx and write `await ctx....`",
            )
        return self.submit(function, *args).result()

    def submit(self, function: Callable[..., Awaitable[T]], *args: Any) -> concurrent.futures.Future[T]:
        """From any thread: await `function(*args)` on the event loop. Raises NodeCancelled when there is none."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            self.call_soon(self._begin, future, function, args)
        except RuntimeError:  # the loop is gone
            raise NodeCancelled from None
        return future

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """From a worker thread: call a plain function on the event loop, also while the run is being stopped.

        Raises NodeCancelled when the run is over.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            self.call_soon(_answer, future, function, args)
        except RuntimeError:
            raise NodeCancelled from None
        return future.result()

    def _begin(
        self, future: concurrent.futures.Future[T], function: Callable[..., Awaitable[T]], args: tuple[Any, ...]
    ) -> None:
        if self._tasks is None:
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


def _answer(future: concurrent.futures.Future[T], function: Callable[..., T], args: tuple[Any, ...]) -> None:
    try:
        value = function(*args)
    except SqlbuildError as error:
        future.set_exception(error)
    else:
        future.set_result(value)
