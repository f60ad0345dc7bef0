"""`ctx.map` of an `async def` node: a few workers go through the items, on the event loop.

FanOut.all      the workers run inside the node, which waits for all results
FanOut.each     they run in the background, and the node reads along, never far behind
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio

from sqlbuild.authoring.map_calls import Progress
from sqlbuild.errors import NodeError
from sqlbuild.interfaces.node_work import MapOrder, NodeWork
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.map_workers import MapWorkers

READ_AHEAD = 2
"""Times the limit: so many items may have been begun and not been read yet."""


class FanOut:
    """`sqlbuild.interfaces.node_work.MapResults`. `open_maps` are those of the node that run in the background."""

    def __init__(
        self, work: NodeWork, progress: Progress, order: MapOrder, bridge: LoopBridge, open_maps: set[BackgroundMap]
    ) -> None:
        self._work = work
        self._progress = progress
        self._order = order
        self._bridge = bridge
        self._open_maps = open_maps

    async def all(self) -> list[Any]:
        results: dict[int, Any] = {}
        workers = MapWorkers(self._work, self._progress, self._order, results.__setitem__)
        await workers.run()
        if workers.error is not None:
            raise workers.error
        return [results[index] for index in range(len(results))]

    def each(self) -> AsyncIterator[Any]:
        background = BackgroundMap(self._work, self._progress, self._order, self._open_maps)
        return _MapStream(background, self._bridge)


class BackgroundMap:
    """The workers, and the results that were not read yet. It does not know its reader, who may go away."""

    def __init__(self, work: NodeWork, progress: Progress, order: MapOrder, open_maps: set[BackgroundMap]) -> None:
        self._workers = MapWorkers(work, progress, order, self._put, window=READ_AHEAD * order.limit)
        self._open_maps = open_maps
        self._ready: dict[int, Any] = {}
        self._read = 0
        self._news = anyio.Event()
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self.is_running = False

    def begin(self, bridge: LoopBridge) -> None:
        if not bridge.is_open:
            raise NodeError("the run is being stopped")
        self.is_running = True
        self._open_maps.add(self)
        bridge.start(self._run)

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._workers.run()
        finally:
            self.is_running = False
            self._open_maps.discard(self)
            self._ended.set()
            self._news.set()

    def _put(self, index: int, value: Any) -> None:
        self._ready[index] = value
        if index == self._read:
            self._news.set()

    async def next(self) -> Any:
        """The next result in the order of the items. Raises the map's error once, then StopAsyncIteration."""
        while self._read not in self._ready:
            if self._ended.is_set():
                error, self._workers.error = self._workers.error, None
                raise error or StopAsyncIteration
            self._news = anyio.Event()
            await self._news.wait()
        value = self._ready.pop(self._read)
        self._read += 1
        self._workers.was_read()
        return value

    def cancel(self) -> None:
        self._scope.cancel()

    async def aclose(self) -> None:
        """Cancel what still runs, and wait for its end."""
        if self.is_running:
            self._scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._ended.wait()


class _MapStream:
    """What `async for` reads. When it is dropped nobody can read on, so its workers are cancelled."""

    def __init__(self, background: BackgroundMap, bridge: LoopBridge) -> None:
        self._background = background
        self._bridge = bridge
        self._has_begun = False

    def __aiter__(self) -> _MapStream:
        return self

    async def __anext__(self) -> Any:
        if not self._has_begun:
            self._has_begun = True
            self._background.begin(self._bridge)
        try:
            return await self._background.next()
        except BaseException:
            await self._background.aclose()
            raise

    async def aclose(self) -> None:
        await self._background.aclose()

    def __del__(self) -> None:
        background = getattr(self, "_background", None)
        if background is not None and background.is_running and not sys.is_finalizing():
            with contextlib.suppress(RuntimeError):  # the run is over
                self._bridge.call_soon(background.cancel)
