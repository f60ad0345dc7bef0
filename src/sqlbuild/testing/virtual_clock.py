"""Time that a test owns."""

from __future__ import annotations

import heapq
import math

import anyio
import anyio.lowlevel

_STEPS = 10
START = 1_735_732_800.0
"""2025-01-01 12:00 UTC, in seconds since the epoch."""


class VirtualClock:
    """A clock for retries and rate limits: waiting for it takes no time at all, and yet time passes exactly.

    It stands still while anything on the event loop can go on. When all tasks wait, it jumps to the next moment that one
    of them waits for; with `jumps=False` it moves only by `advance`. Work on threads does not hold it up. The same on
    asyncio and trio. `now()` is in seconds since the epoch, `monotonic()` in seconds since the clock was made.
    """

    def __init__(self, start: float = START, *, jumps: bool = True) -> None:
        self._start = start
        self._jumps = jumps
        self._elapsed = 0.0
        self._sleepers: list[_Sleeper] = []
        self._count = 0
        self._watched = False
        """Whether one of the sleepers looks out for the moment when everybody waits."""

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let so much time pass and wake whoever waited for it. Raises ValueError for less than nothing."""
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"time passes forwards, by a finite number of seconds, not by {seconds!r}")
        self._move_to(self._elapsed + seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait for so much of this clock's time."""
        await self.sleep_until(self._elapsed + seconds)

    async def sleep_until(self, monotonic: float) -> None:
        """Wait until `monotonic()` is at least so much."""
        if monotonic <= self._elapsed:
            await anyio.lowlevel.checkpoint()
            return
        self._count += 1
        sleeper = _Sleeper(monotonic, self._count)
        heapq.heappush(self._sleepers, sleeper)
        self._tell_the_next()
        try:
            while self._elapsed < monotonic:
                if not self._jumps or self._watched or self._sleepers[0] is not sleeper:
                    await sleeper.woken.wait()
                    sleeper.woken = anyio.Event()
                else:
                    await self._jump()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)
            self._tell_the_next()

    async def _jump(self) -> None:
        """Done by one of those who wait, for all of them: once everybody waits, move to what comes next."""
        self._watched = True
        try:
            await _everybody_waits()
        finally:
            self._watched = False
        if self._sleepers:
            self._move_to(self._sleepers[0].moment)
            self._tell_the_next()

    def _move_to(self, moment: float) -> None:
        self._elapsed = max(self._elapsed, moment)
        while self._sleepers and self._sleepers[0].moment <= self._elapsed:
            heapq.heappop(self._sleepers).woken.set()

    def _tell_the_next(self) -> None:
        if self._jumps and self._sleepers:
            self._sleepers[0].woken.set()


async def _everybody_waits() -> None:
    # On asyncio the call below looks again only after 0.1 s of real time, so let what is under way go on before it.
    for _ in range(_STEPS):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


class _Sleeper:
    __slots__ = ("moment", "order", "woken")

    def __init__(self, moment: float, order: int) -> None:
        self.moment = moment
        self.order = order
        self.woken = anyio.Event()

    def __lt__(self, other: _Sleeper) -> bool:
        return (self.moment, self.order) < (other.moment, other.order)
