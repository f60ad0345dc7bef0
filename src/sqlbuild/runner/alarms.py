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
        self._nap = anyio.CancelScope()

    def at(self, moment: float, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop when the monotonic clock reaches `moment`."""
        self._count += 1
        heapq.heappush(self._entries, (moment, self._count, callback))
        if self._entries[0][1] == self._count:
            self._nap.cancel()

    def clear(self) -> None:
        self._entries.clear()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            while self._entries and self._entries[0][0] <= self._clock.monotonic():
                heapq.heappop(self._entries)[2]()
            # From the moment of its making an earlier alarm ends it; a task for each would cost a token its time.
            with anyio.CancelScope() as self._nap:
                if self._entries:
                    await self._clock.sleep_until(self._entries[0][0])
                else:
                    await anyio.sleep_forever()
