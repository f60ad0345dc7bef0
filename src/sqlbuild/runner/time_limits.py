"""Time limits of what runs on the event loop: its scope is cancelled, and it is told when even that does not end it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio

from sqlbuild.interfaces.clock import Clock
from sqlbuild.runner.alarms import Alarms


class TimeLimits:
    """`stolen` gives the seconds for which somebody kept the event loop from running so far: they do not count, for
    nobody could work in them. `grace` is how many seconds a cancelled attempt has to end."""

    def __init__(self, alarms: Alarms, clock: Clock, stolen: Callable[[], float], grace: float) -> None:
        self._alarms = alarms
        self._clock = clock
        self._stolen = stolen
        self._grace = grace

    def scope(self, seconds: float, own_share: Callable[[], float], overdue: Callable[[], None]) -> TimeLimit:
        """A scope that is cancelled after so many seconds. `own_share` are those of `stolen` for which what runs in it
        is to blame itself; `overdue` is called if it is still not left after the grace time."""
        limit = TimeLimit()
        started, stolen_before = self._clock.monotonic(), self._stolen()

        def look() -> None:
            if limit.left:
                return
            deadline = started + seconds + self._stolen() - stolen_before - own_share()
            if deadline > self._clock.monotonic():
                self._alarms.at(deadline, look)
                return
            limit.scope.cancel()
            self._alarms.at(self._clock.monotonic() + self._grace, functools.partial(_look_again, limit, overdue))

        self._alarms.at(started + seconds, look)
        return limit


class TimeLimit:
    """Left as `anyio.CancelScope` is."""

    __slots__ = ("left", "scope")

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.left = False

    def __enter__(self) -> Self:
        self.scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.left = True
        return self.scope.__exit__(kind, error, traceback)


def _look_again(limit: TimeLimit, overdue: Callable[[], None]) -> None:
    if not limit.left:
        overdue()
