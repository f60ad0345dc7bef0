"""Ctrl-C at a moment at which it must not come between two steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class HeldInterrupts:
    """`heard`: Ctrl-C was pressed, and nobody has acted on it yet."""

    def __init__(self) -> None:
        self.heard = False


@contextlib.contextmanager
def held_interrupts() -> Iterator[HeldInterrupts]:
    """While it lasts, the first SIGINT is only noted and the second one does what the first would have done.

    Raises KeyboardInterrupt at the end if one was noted. Off the main thread, and where SIGINT is ignored, it does nothing.
    """
    held = HeldInterrupts()
    on_main_thread = threading.current_thread() is threading.main_thread()
    before: Any = signal.getsignal(signal.SIGINT) if on_main_thread else None
    if not callable(before):
        yield held
        return

    def note(number: int, frame: FrameType | None) -> None:
        if held.heard:
            before(number, frame)
        held.heard = True

    signal.signal(signal.SIGINT, note)
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)
    if held.heard:
        raise KeyboardInterrupt
