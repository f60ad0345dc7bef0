"""What nodes print and log with the standard library, kept apart per node and attempt."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO, cast

Log = Callable[[str, str, Mapping[str, object]], None]
"""Takes message, level and fields, as `NodeSession.log` does."""

_LONGEST_LINE = 65_536


class Speaker:
    """One attempt of one node: takes text as it is printed and hands it on line by line."""

    __slots__ = ("_lock", "_log", "_unfinished")

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._unfinished: dict[str, str] = {}

    def write(self, level: str, text: str) -> None:
        with self._lock:
            *lines, rest = (self._unfinished.get(level, "") + text).split("\n")
            if len(rest) > _LONGEST_LINE:
                lines, rest = [*lines, rest], ""
            # What a progress bar has overwritten is not worth a line.
            self._unfinished[level] = rest[rest.rfind("\r") + 1 :] if "\r" in rest[:-1] else rest
        for line in lines:
            self._tell(level, line)

    def log(self, level: str, message: str) -> None:
        self._log(message, level, {})

    def finish(self) -> None:
        """Hand on what does not end in a line break."""
        for level, rest in self._unfinished.items():
            self._tell(level, rest)
        self._unfinished.clear()

    def _tell(self, level: str, line: str) -> None:
        shown = line.rstrip("\r").rpartition("\r")[2].rstrip()
        if shown:
            self._log(shown, level, {})


_speaker: contextvars.ContextVar[Speaker | None] = contextvars.ContextVar("sqlbuild_speaker", default=None)


def begin_output(log: Log) -> contextvars.Token[Speaker | None]:
    """From here on, what this context prints is told to `log`."""
    return _speaker.set(Speaker(log))


def end_output(token: contextvars.Token[Speaker | None]) -> None:
    speaker = _speaker.get()
    _speaker.reset(token)
    if speaker is not None:
        speaker.finish()


@contextlib.contextmanager
def captured_output(elsewhere: TextIO | None = None) -> Iterator[None]:
    """While it lasts, sys.stdout and sys.stderr give what a node writes to that node's log.

    Everybody else's text goes where it went before, or, for sys.stdout, to `elsewhere`.
    """
    stdout, stderr = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, _NodeStream(elsewhere or stdout, "print"))
    sys.stderr = cast(TextIO, _NodeStream(stderr, "stderr"))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr


@contextlib.contextmanager
def captured_logging() -> Iterator[None]:
    """While it lasts, records of `logging` go to the node's log, unless the project has set up logging itself."""
    root = logging.getLogger()
    if root.handlers:
        yield
        return
    handler = _NodeHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _NodeStream:
    """A text stream with two ends; all but writing is left to the one behind it."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream = stream
        self._level = level

    def write(self, text: str) -> int:
        speaker = _speaker.get()
        if speaker is None:
            return self._stream.write(text)
        speaker.write(self._level, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _speaker.get() is None:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _NodeHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        speaker = _speaker.get()
        if speaker is not None:
            message = self.format(record)
            speaker.log(record.levelname.lower(), message)
        elif logging.lastResort is not None and record.levelno >= logging.lastResort.level:
            logging.lastResort.handle(record)
