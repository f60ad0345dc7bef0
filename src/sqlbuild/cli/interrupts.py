"""Signals outside of a run, which has handlers of its own: while a project is read, a target is waited for, files are written."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


class Stopped(Exception):
    """A command was stopped by a signal; in place of KeyboardInterrupt, of which typer makes an exit code without a word."""

    @staticmethod
    def is_meant_by(error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            return error.subgroup(KeyboardInterrupt) is not None
        return isinstance(error, KeyboardInterrupt)


class StopSignals:
    """Makes SIGTERM and SIGHUP what Ctrl-C is, for whoever handles that at the moment, and remembers which one it was.

    A signal that the command was started with ignored, as `nohup` does it, stays ignored.
    """

    def __init__(self) -> None:
        self._first: str | None = None

    def listen(self) -> None:
        for name in ("SIGTERM", "SIGHUP"):
            if _is_default(signal.Signals[name]):
                signal.signal(signal.Signals[name], self._received)

    @property
    def first(self) -> str:
        """The name of the one that stopped the command: Ctrl-C if it was none of the others."""
        return self._first or "SIGINT"

    def end(self) -> NoReturn:
        """End the process where the streams are not ready to be written to by others."""
        with contextlib.suppress(OSError):
            os.write(2, f"stopped ({self.first})\n".encode())
        os._exit(EXIT_CODES[self.first])

    def leave_at_once(self) -> None:
        """Everything is done and written: from here on a signal ends the process, without a traceback."""
        for name in EXIT_CODES:
            if not _is_ignored(signal.Signals[name]):
                signal.signal(signal.Signals[name], lambda number, _frame: os._exit(128 + number))

    def _received(self, number: int, frame: FrameType | None) -> None:
        self._first = self._first or signal.Signals(number).name
        on_ctrl_c: Any = signal.getsignal(signal.SIGINT)
        (on_ctrl_c if callable(on_ctrl_c) else signal.default_int_handler)(signal.SIGINT, frame)


@contextlib.contextmanager
def interrupts_kept() -> Iterator[None]:
    """While it lasts, no Ctrl-C is lost.

    Python only prints a KeyboardInterrupt that is raised while an object is finalized or a module's lock is let go,
    both of which happen all the time during imports; here it is raised again at the end.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    heard = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        heard = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if heard:
        raise KeyboardInterrupt


def _is_default(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_DFL


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
