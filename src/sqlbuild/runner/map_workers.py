"""The workers of one `ctx.map` on the event loop.

An item costs no task of its own: a worker awaits one call after the other, in a task that is as good as new for each.
"""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from sqlbuild.authoring.map_calls import MapCall, Progress, as_read_later, blame, not_async
from sqlbuild.authoring.pool_blocks import AsyncPoolBlock
from sqlbuild.interfaces.node_work import MapOrder, NodeWork
from sqlbuild.runner.cancellation import is_being_cancelled
from sqlbuild.runner.own_task import OwnTask

T = TypeVar("T")
SLICE_SECONDS = 0.005
"""How long items that never wait may go on without letting anything else use the event loop."""
ENDING_SECONDS = 2.0
"""How long calls that are under way when another one fails may go on, if their results are to be kept."""

_map_with_keys: contextvars.ContextVar[MapWorkers | None] = contextvars.ContextVar(
    "sqlbuild_map_with_keys", default=None
)


async def take_pools_in_map(take: Callable[..., Awaitable[T]], *args: Any) -> T:
    """`await take(*args)`; in a map with keys that is ending it never returns, so that no call is begun any more."""
    workers = _map_with_keys.get()
    return await (take(*args) if workers is None else workers.wait_for_pools(take, *args))


class MapWorkers:
    """`put` gets the number and the result of each item; with `window` at most so many that were not read yet."""

    def __init__(
        self,
        work: NodeWork,
        progress: Progress,
        order: MapOrder,
        put: Callable[[int, Any], None],
        window: float = math.inf,
    ) -> None:
        self._work = work
        self._progress = progress
        self._order = order
        self._put = put
        self._window = window
        self.error: BaseException | None = None
        """The first one."""
        self._items: Iterator[Any] = iter(())
        self._async_items: AsyncIterator[Any] | None = None
        self._pulling = anyio.Lock()
        self._room = anyio.Event()
        self._pulls = 0
        """Begun; an async iterator may let them wait."""
        self._taken = 0
        self._read = 0
        self._exhausted = False
        self._in_calls = 0
        self._pool_waits: set[anyio.CancelScope] = set()
        self._unwritten: list[tuple[str, str, int, Any]] = []
        self._somebody_writes = False

    async def run(self) -> None:
        """Until every item is done, one has failed (see `error`) or it is cancelled."""
        call = self._call = MapCall(self._work, self._progress, self._order)
        completed = False
        self._context = contextvars.copy_context()
        try:
            if isinstance(self._order.items, AsyncIterable):
                self._async_items = aiter(self._order.items)
            else:
                self._items = iter(self._order.items)
            workers = self._order.limit if call.total is None else min(self._order.limit, call.total)
            async with anyio.create_task_group() as tasks:
                self._tasks: TaskGroup = tasks
                for _ in range(workers):
                    self._start_worker()
            completed = self.error is None
        finally:
            self._write()
            call.end(completed=completed)
            await self._close_items()

    def _start_worker(self) -> None:
        """In a context as it was around the map."""
        self._context.copy().run(self._tasks.start_soon, self._work_through)

    async def _close_items(self) -> None:
        close = getattr(self._async_items, "aclose", None)
        if close is not None and not self._exhausted:
            with anyio.move_on_after(ENDING_SECONDS, shield=True):
                await close()

    def was_read(self) -> None:
        self._read += 1
        self._make_room()

    def _make_room(self) -> None:
        self._room.set()
        self._room = anyio.Event()

    # -- items ------------------------------------------------------------------------------------------------------

    async def _work_through(self) -> None:
        if self._order.key is not None:
            _map_with_keys.set(self)
        own_task = OwnTask()
        slice_ends = time.monotonic() + SLICE_SECONDS
        while (entry := await self._take()) is not None:
            await self._do(*entry)
            if self.error is None and not own_task.is_as_new():
                # The next item shall notice nothing of this one.
                self._start_worker()
                return
            if time.monotonic() > slice_ends:
                await anyio.lowlevel.checkpoint()
                slice_ends = time.monotonic() + SLICE_SECONDS

    async def _take(self) -> tuple[int, Any] | None:
        while self._pulls - self._read >= self._window and not self._exhausted and self.error is None:
            await self._room.wait()
        if self._exhausted or self.error is not None:
            return None
        self._pulls += 1
        try:
            if self._async_items is None:
                item = next(self._items)
            else:
                async with self._pulling:
                    if self._exhausted:
                        return None
                    item = await anext(self._async_items)
        except (StopIteration, StopAsyncIteration):
            self._exhausted = True
            self._make_room()
            return None
        except BaseException as error:
            if is_being_cancelled(error):
                raise
            error.add_note(f"in ctx.map(), where item {self._taken} should have come from")
            self._fail(error)
            return None
        self._taken += 1
        return self._taken - 1, item

    async def _do(self, index: int, item: Any) -> None:
        call, key = self._call, None
        try:
            key = call.key_of(index, item)
            if key is not None and call.is_done(key):
                self._put(index, call.stored(key))
                call.advance(1)
                return
            value = await self._called(item)
            if key is None:
                self._put(index, value)
                call.advance(1)
                return
            text = call.text_of(value)
            self._unwritten.append((key, text, index, as_read_later(value, text)))
            await self._write_soon()
        except BaseException as error:
            if is_being_cancelled(error):
                raise
            blame(error, index, item, key)
            self._fail(error)

    async def _called(self, item: Any) -> Any:
        self._in_calls += 1
        try:
            if self._order.pools:
                async with AsyncPoolBlock(self._work, self._order.pools):
                    return await self._awaited(item)
            return await self._awaited(item)
        finally:
            self._in_calls -= 1
            if self.error is not None:
                self._end_if_idle()

    def _awaited(self, item: Any) -> Awaitable[Any]:
        pending: Awaitable[Any] = self._order.fn(item)
        if not hasattr(pending, "__await__"):
            raise not_async(self._order.fn)
        return pending

    # -- results that are kept --------------------------------------------------------------------------------------

    async def _write_soon(self) -> None:
        """One of the workers writes for all: what others have done until the event loop comes round is written with it."""
        if not self._somebody_writes:
            self._somebody_writes = True
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                self._somebody_writes = False
            self._write()

    def _write(self) -> None:
        """Only what is written counts as done."""
        entries, self._unwritten = self._unwritten, []
        if entries:
            self._work.keep(self._order.scope, [(key, text) for key, text, _, _ in entries])
            for _, _, index, value in entries:
                self._put(index, value)
            self._call.advance(len(entries))

    # -- the end ----------------------------------------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        """The first error ends the map: at once, or, where results are kept, when the calls under way have ended."""
        if self.error is not None:
            return
        self.error = error
        self._make_room()
        if self._order.key is None:
            self._tasks.cancel_scope.cancel()
            return
        self._tasks.cancel_scope.deadline = anyio.current_time() + ENDING_SECONDS
        for scope in self._pool_waits:
            scope.cancel()
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._in_calls <= 0:
            self._tasks.cancel_scope.cancel()

    async def wait_for_pools(self, take: Callable[..., Awaitable[T]], *args: Any) -> T:
        """From a call: who waits here has not begun what the pool is for, and need not when the map is ending."""
        if self.error is None:
            with anyio.CancelScope() as scope:
                self._pool_waits.add(scope)
                try:
                    return await take(*args)
                finally:
                    self._pool_waits.discard(scope)
        self._in_calls -= 1
        try:
            self._end_if_idle()
            await anyio.sleep_forever()
        finally:
            self._in_calls += 1
        raise AssertionError
