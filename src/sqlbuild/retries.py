"""When a failed node is tried again."""

from __future__ import annotations

import dataclasses
import math

from sqlbuild.errors import Rebuilt as _Rebuilt


class RetryAfter(_Rebuilt):
    """Raise it when a service says how long to wait: the node's pools pause for `seconds`, for everybody."""

    def __init__(self, seconds: float, message: str = "") -> None:
        _check_number("seconds", seconds, minimum=0.0)
        super().__init__(message or f"the service asks to wait {seconds:g} s")
        self.seconds = float(seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, for which exceptions and after which delays a failed node is tried again.

    `RetryPolicy(3)` is three attempts, the first one included; all other fields are given by name.

    The n-th retry waits `initial_delay_seconds * backoff_multiplier ** (n - 1)` seconds, at most `max_delay_seconds`;
    with `jitter` that delay is multiplied by a uniform draw from [0.5, 1] (equal jitter, as in the AWS Architecture
    Blog's "Exponential Backoff And Jitter"). No attempt starts later than `max_elapsed_seconds` after the first one
    started. Raises TypeError or ValueError for a field that makes no sense.
    """

    max_attempts: int = 3
    _: dataclasses.KW_ONLY
    retry_on: type[Exception] | tuple[type[Exception], ...] = Exception
    initial_delay_seconds: float = 1.0
    backoff_multiplier: float = 2.0
    max_delay_seconds: float = 30.0
    max_elapsed_seconds: float | None = None
    jitter: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int):
            raise TypeError(f"max_attempts must be a whole number, not {self.max_attempts!r}")
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be 1 or more, not {self.max_attempts}")
        kinds = self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)
        if not kinds:
            raise ValueError("retry_on must name at least one exception class; use max_attempts=1 to retry nothing")
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise TypeError(f"retry_on takes subclasses of Exception, not {kind!r}")
        _check_number("initial_delay_seconds", self.initial_delay_seconds, minimum=0.0)
        _check_number("backoff_multiplier", self.backoff_multiplier, minimum=1.0)
        _check_number("max_delay_seconds", self.max_delay_seconds, minimum=0.0)
        if self.max_elapsed_seconds is not None:
            _check_number("max_elapsed_seconds", self.max_elapsed_seconds, minimum=0.0)
        if not isinstance(self.jitter, bool):
            raise TypeError(f"jitter must be True or False, not {self.jitter!r}")

    def delay_after(
        self, attempt: int, error: BaseException, elapsed: float, *, jitter_draw: float = 1.0
    ) -> float | None:
        """Seconds to wait before the next attempt, or None if there is none.

        `attempt` counts from 1 and is the one that raised `error`; `elapsed` is in seconds since the first attempt
        started; `jitter_draw` is a number in [0, 1].
        """
        if attempt >= self.max_attempts or not self._covers(error):
            return None
        try:
            delay = self.initial_delay_seconds * self.backoff_multiplier ** (attempt - 1)
        except OverflowError:
            delay = self.max_delay_seconds
        delay = min(delay, self.max_delay_seconds)
        if self.jitter:
            delay *= 0.5 + 0.5 * jitter_draw
        if self.max_elapsed_seconds is not None and elapsed + delay > self.max_elapsed_seconds:
            return None
        return delay

    def _covers(self, error: BaseException) -> bool:
        """A task group raises a group: it is retried if that is so for each of its members."""
        if isinstance(error, BaseExceptionGroup) and not isinstance(error, self.retry_on):
            return all(self._covers(member) for member in error.exceptions)
        return isinstance(error, Exception) and isinstance(error, self.retry_on)


def _check_number(name: str, value: object, *, minimum: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not math.isfinite(value) or value < minimum:
        raise ValueError(f"{name} must be a finite number of at least {minimum:g}, not {value!r}")
