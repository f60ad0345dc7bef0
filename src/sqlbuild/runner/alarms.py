"""Callbacks at later moments, all waited for by one task."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import anyio

from sqlbuild.interfaces.clock import Clock


class Alarms:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._changed = anyio.Event()

    def at(self, moment: float, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop when the monotonic clock reaches `moment`."""
        self._count += 1
        heapq.heappush(self._entries, (moment, self._count, callback))
        if self._entries[0][1] == self._count:
            self._changed.set()

    def clear(self) -> None:
        self._entries.clear()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed = anyio.Event()
            while self._entries and self._entries[0][0] <= self._clock.monotonic():
                heapq.heappop(self._entries)[2]()
            if not self._entries:
                await self._changed.wait()
                continue
            async with anyio.create_task_group() as first:

                async def until(moment: float, scope: anyio.CancelScope) -> None:
                    await self._clock.sleep_until(moment)
                    scope.cancel()

                first.start_soon(until, self._entries[0][0], first.cancel_scope)
                await self._changed.wait()
                first.cancel_scope.cancel()
