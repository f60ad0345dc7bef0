"""What nodes print and log with the standard library, kept apart per node and attempt."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TextIO, cast

from sqlbuild.domain.masking import MaskedStream, Masker

Log = Callable[[str, str, Mapping[str, object]], None]
"""Takes message, level and fields, as `NodeSession.log` does."""

_LONGEST_LINE = 65_536


class Speaker:
    """One attempt of one node: takes text as it is printed, by any of its threads, and hands it on line by line."""

    __slots__ = ("_log", "_unfinished")

    # One for all, as there is a speaker for each attempt and few ever say a thing. Re-entrant: while it is held, the
    # garbage collector may run a `__del__` of the author's that prints.
    _lock: ClassVar = threading.RLock()

    def __init__(self, log: Log) -> None:
        self._log = log
        self._unfinished: dict[tuple[str, int], str] = {}

    @property
    def session(self) -> object:
        """Whose `log` takes what is said."""
        return getattr(self._log, "__self__", None)

    def write(self, level: str, text: str, masker: Masker | None = None) -> None:
        """`masker` tells where a line that is too long may be cut: not within a secret."""
        # One print() is several writes: those of other threads must not come between them.
        writer = level, threading.get_ident()
        with self._lock:
            *lines, rest = (self._unfinished.pop(writer, "") + text).split("\n")
            if len(rest) > _LONGEST_LINE:
                place = (masker.cut(rest) if masker else 0) or len(rest)
                lines, rest = [*lines, rest[:place]], rest[place:]
            if rest:
                # What a progress bar has overwritten is not worth a line.
                self._unfinished[writer] = rest[rest.rfind("\r") + 1 :] if "\r" in rest[:-1] else rest
        for line in lines:
            self._tell(level, line)

    def log(self, level: str, message: str) -> None:
        self._log(message, level, {})

    def finish(self) -> None:
        """Hand on what does not end in a line break."""
        if not self._unfinished:
            return
        with self._lock:
            unfinished, self._unfinished = self._unfinished, {}
        for (level, _), rest in unfinished.items():
            self._tell(level, rest)

    def _tell(self, level: str, line: str) -> None:
        shown = line.rstrip("\r").rpartition("\r")[2].rstrip()
        if shown:
            self._log(shown, level, {})


_speaker: contextvars.ContextVar[Speaker | None] = contextvars.ContextVar("sqlbuild_speaker", default=None)


def begin_output(log: Log) -> contextvars.Token[Speaker | None]:
    """From here on, what this context prints is told to `log`."""
    return _speaker.set(Speaker(log))


def speaking_for(context: contextvars.Context) -> object:
    """The session of the node to which a context belongs, also one of another thread; None if it is no node's."""
    speaker = context.get(_speaker)
    return None if speaker is None else speaker.session


def end_output(token: contextvars.Token[Speaker | None]) -> None:
    speaker = _speaker.get()
    _speaker.reset(token)
    if speaker is not None:
        speaker.finish()


@contextlib.contextmanager
def captured_output(elsewhere: TextIO | None = None, masker: Masker | None = None) -> Iterator[None]:
    """While it lasts, sys.stdout and sys.stderr give what a node writes to that node's log.

    Everybody else's text, with secrets masked, goes where it went before, or, for sys.stdout, to `elsewhere`.
    """
    stdout, stderr = sys.stdout, sys.stderr
    out = _NodeStream(elsewhere or stdout, "print", masker)
    err = _NodeStream(stderr, "stderr", masker)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr
        out.show_rest()
        err.show_rest()


@contextlib.contextmanager
def captured_logging() -> Iterator[None]:
    """While it lasts, records that nodes make with `logging` go to the node's log, with their level.

    What the project has set up goes on working, but for handlers that write to the standard streams: of a node's
    records they would tell the node's log a second time. Where nothing is set up, records from `info` on are kept.
    """
    root = logging.getLogger()
    doubling = [handler for handler in root.handlers if _writes_to_a_node(handler)]
    handler = _NodeHandler()
    level_was_raised = not root.handlers and root.level == logging.WARNING
    if root.handlers:
        handler.addFilter(_of_a_node)
    if level_was_raised:
        root.setLevel(logging.INFO)
    root.addHandler(handler)
    for other in doubling:
        other.addFilter(_of_nobody)
    try:
        yield
    finally:
        root.removeHandler(handler)
        if level_was_raised:
            root.setLevel(logging.WARNING)
        for other in doubling:
            other.removeFilter(_of_nobody)


def _writes_to_a_node(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and isinstance(handler.stream, _NodeStream)


def _of_a_node(_record: logging.LogRecord) -> bool:
    return _speaker.get() is not None


def _of_nobody(_record: logging.LogRecord) -> bool:
    return _speaker.get() is None


class _NodeStream:
    """A text stream with two ends; all but writing is left to the one behind it."""

    def __init__(self, stream: TextIO, level: str, masker: Masker | None) -> None:
        self._stream = stream
        self._level = level
        self._masker = masker
        self._masked = MaskedStream(Masker() if masker is None else masker)
        # Re-entrant for the same reason as a speaker's.
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        speaker = _speaker.get()
        if speaker is not None:
            speaker.write(self._level, text, self._masker)
        elif self._masker:
            with self._lock:
                self._stream.write(self._masked.feed(text))
        else:
            self._stream.write(text)
        return len(text)

    def show_rest(self) -> None:
        """What might have been the start of a secret is shown."""
        with self._lock:
            rest = self._masked.finish()
            if rest:
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write(rest)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _speaker.get() is None:
            self.show_rest()
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _NodeHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        speaker = _speaker.get()
        if speaker is None:
            if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
            return
        try:
            message, level = self.format(record), _level_of(record)
        except Exception as error:  # noqa: BLE001 - as in every handler, a message that cannot be made fails nobody
            place = f"{record.pathname}:{record.lineno}"
            message, level = f"a log message cannot be made at {place}: {type(error).__name__}: {error}", "warning"
        speaker.log(level, message)


def _level_of(record: logging.LogRecord) -> str:
    """One of the five levels that everybody knows; others count as the next one below."""
    for number, name in ((50, "critical"), (40, "error"), (30, "warning"), (20, "info")):
        if record.levelno >= number:
            return name
    return "debug"
