"""Rates of pools: a token bucket that is told the time; pure."""

from __future__ import annotations

import dataclasses
import math

_MARGIN_SECONDS = 3e-9
"""Added to each interval: more than a sum of floating-point seconds can be wrong by, so the rate is never exceeded."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`burst` tokens at once after a pause, then `per_second` tokens a second."""

    per_second: float
    burst: int = 1


class TokenBucket:
    """Gives at most `rate.per_second * w + rate.burst` tokens in any window of `w` seconds, whatever the clock does.

    It is the generic cell rate algorithm (ITU-T I.371): a full bucket is a moment in the past, so nothing has to be
    refilled. Without a rate it only pauses.
    """

    __slots__ = ("_ahead", "_full_at", "_interval", "paused_until")

    def __init__(self, rate: Rate | None) -> None:
        self._interval = 0.0 if rate is None else 1.0 / rate.per_second + _MARGIN_SECONDS
        self._ahead = 0.0 if rate is None else (rate.burst - 1) * self._interval
        self._full_at = -math.inf
        self.paused_until = -math.inf

    def next_at(self) -> float:
        """The moment from which on a token can be taken."""
        return max(self._full_at - self._ahead, self.paused_until)

    def take(self, now: float) -> None:
        """`now` is `next_at()` or later."""
        if self._interval:
            self._full_at = max(now, self._full_at) + self._interval

    def pause(self, until: float) -> None:
        """No token before `until`; after it they come one by one, without a burst."""
        if until > self.paused_until:
            self.paused_until = until
            self._full_at = max(self._full_at, until + self._ahead)
