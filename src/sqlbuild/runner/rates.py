"""Rates of pools: a token bucket that is told the time; pure."""

from __future__ import annotations

import math

from sqlbuild.domain.record import record

_MARGIN = 5
"""Nanoseconds added to each interval: more than two readings of a clock in floating-point seconds can be wrong by."""
_LONG_AGO = -(10**30)


@record(frozen=True, slots=True, kw_only=True)
class Rate:
    """`burst` tokens at once after a pause, then `per_second` tokens a second."""

    per_second: float
    burst: int = 1


class TokenBucket:
    """Gives at most `rate.per_second * w + rate.burst` tokens in any window of `w` seconds, whatever the clock does.

    It is the generic cell rate algorithm (ITU-T I.371): a full bucket is a moment in the past, so nothing has to be
    refilled. It counts in whole nanoseconds, which add up exactly. Without a rate it only pauses.
    """

    __slots__ = ("_ahead", "_full_at", "_interval", "next_at", "paused_until")

    def __init__(self, rate: Rate | None) -> None:
        self._interval = 0 if rate is None else math.ceil(1e9 / rate.per_second) + _MARGIN
        self._ahead = 0 if rate is None else (rate.burst - 1) * self._interval
        self._full_at = _LONG_AGO
        self.next_at = -math.inf
        """The moment from which on a token can be taken, in seconds."""
        self.paused_until = -math.inf

    def take(self, now: float) -> None:
        """`now` is `next_at` or later."""
        if self._interval:
            self._full_at = max(_nanoseconds(now), self._full_at) + self._interval
            self.next_at = max(_seconds(self._full_at - self._ahead), self.paused_until)

    def pause(self, until: float) -> None:
        """No token before `until`; after it they come one by one, without a burst."""
        if until > self.paused_until:
            self.paused_until = until
            self._full_at = max(self._full_at, _nanoseconds(until) + self._ahead)
            self.next_at = max(_seconds(self._full_at - self._ahead), until)


def _nanoseconds(moment: float) -> int:
    return math.floor(moment * 1e9)


def _seconds(nanoseconds: int) -> float:
    """The first moment that is not before so many nanoseconds."""
    moment = nanoseconds / 1e9
    while _nanoseconds(moment) < nanoseconds:
        moment = math.nextafter(moment, math.inf)
    return moment
