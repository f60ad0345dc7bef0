from __future__ import annotations

import datetime
import functools
import math


def utc_text(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the microsecond and without an offset.

    Formatting a datetime costs five times as much; runs write several times for every node.
    """
    whole = math.floor(seconds)
    micros = int((seconds - whole) * 1_000_000 + 0.5)
    if micros == 1_000_000:
        whole, micros = whole + 1, 0
    return _second(whole) + str(1_000_000 + micros)[1:]


@functools.lru_cache(maxsize=64)
def _second(whole: int) -> str:
    """With the point that the fraction follows."""
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=whole)).isoformat() + "."  # noqa: DTZ001
