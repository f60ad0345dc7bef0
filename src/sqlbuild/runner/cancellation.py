"""Whether an exception means that somebody cancelled what raised it."""

from __future__ import annotations

import math

import anyio


def is_cancellation(error: BaseException) -> bool:
    """Also of a group with nothing else in it."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.split(cancelled)[1] is None
    return isinstance(error, cancelled)


def is_being_cancelled(error: BaseException) -> bool:
    """Whether a scope around the running task asked for it. A cancellation that nobody asked for came from the author's
    own code and is an error like any other."""
    return is_cancellation(error) and anyio.current_effective_deadline() == -math.inf
