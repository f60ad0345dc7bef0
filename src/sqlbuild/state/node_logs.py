"""Logs of nodes: files `<node>.<attempt>.log` in a folder of their run.

They are written in the background, and by whoever says too much: a message waits at most a tenth of a second
in memory, and when many wait, the thread that adds one more writes them all first. So a node that talks faster than
the disk takes it is slowed down, memory stays bounded and no line is lost.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import threading
from collections.abc import Callable

from sqlbuild.domain.events import NodeLogged
from sqlbuild.domain.masked_records import masked_fields
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.results import ErrorFacts
from sqlbuild.state.journal import FILE_NAME, target_of_journal
from sqlbuild.state.log_lines import log_line

LOGS_FOLDER = "logs"
SUFFIX = ".log"

FLUSH_SECONDS = 0.1
MAX_WAITING = 2_000
MAX_WAITING_CHARACTERS = 4_000_000
MAX_OPEN = 32
_MAX_NAME = 200
"""Longer names of nodes are cut: file systems take 255 bytes."""


def log_file_name(name: str, attempt: int) -> str:
    """Names of Python nodes are snake_case, unique over all kinds that run, and safe as they are."""
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"{name}.{attempt}{SUFFIX}"


class NodeLogFiles:
    """`sqlbuild.interfaces.node_logs.NodeLogs` in `folder`, which is made when the first node says something.

    `shown_folder` is what `path` starts with, `show` gets every message too, `warn` the one warning if logs cannot be
    written. Without a folder nothing is kept.
    """

    def __init__(
        self,
        folder: str | None,
        shown_folder: str,
        *,
        show: Callable[[NodeLogged], None],
        warn: Callable[[str], None],
        masker: Masker | None = None,
    ) -> None:
        self._folder = folder
        self._shown_folder = shown_folder
        self._show = show
        self._warn = warn
        self._masker = masker
        # Re-entrant: while one is held, the garbage collector may run a `__del__` of the author's that prints.
        self._adding = threading.RLock()
        self._writing = threading.RLock()
        self._waiting: list[tuple[str, float, str, str, dict[str, object]]] = []
        self._waiting_characters = 0
        self._spoken: set[str] = set()
        self._files: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._torn: set[str] = set()
        self._thread: threading.Thread | None = None
        self._something_waits = threading.Event()
        self._closing = threading.Event()
        self._broken = False

    def said(self, event: NodeLogged) -> None:
        self._add(log_file_name(event.name, event.attempt), event.at, event.level, event.message, dict(event.fields))
        self._show(event)

    def failed(self, name: str, attempt: int, at: float, error: ErrorFacts, retry_in: float | None) -> str | None:
        again = "" if retry_in is None else f", tried again in {retry_in:.3g} s"
        what = f"{error.type}: {error.message}".rstrip(": ")
        first, _, more = what.partition("\n")
        traceback = error.traceback.rstrip()
        further = [more if traceback in ("", what) else traceback, f"help: {error.help}" if error.help else ""]
        message = "\n".join([f"attempt {attempt} failed{again}: {first}", *filter(None, further)])
        self._add(log_file_name(name, attempt), at, "error" if retry_in is None else "warning", message, {})
        return self.path(name, attempt)

    def path(self, name: str, attempt: int) -> str | None:
        file_name = log_file_name(name, attempt)
        if self._broken or file_name not in self._spoken:
            return None
        return f"{self._shown_folder}/{file_name}"

    def flush(self) -> None:
        """When it returns, everything said before is in its file, or it was warned that it cannot be."""
        with self._writing:
            with self._adding:
                waiting, self._waiting = self._waiting, []
                self._waiting_characters = 0
                self._something_waits.clear()
            texts: dict[str, list[str]] = {}
            masker = self._masker
            for name, at, level, message, fields in waiting:
                if masker:
                    message, fields = masker.text(message), masked_fields(fields, masker)
                texts.setdefault(name, []).append(log_line(at, level, message, fields))
            for name, lines in texts.items():
                self._append(name, "".join(lines))

    def close(self) -> None:
        """Write what waits; whatever is said later is lost, as its run is over."""
        with self._adding:
            self._closing.set()
            self._something_waits.set()
        self.flush()
        with self._writing:
            while self._files:
                os.close(self._files.popitem()[1])

    def close_within(self, seconds: float) -> None:
        """As `close`, but also from a signal handler, whose thread may be in the middle of anything here."""
        closing = _started(self.close)
        if closing.ident is not None:
            closing.join(seconds)

    def _add(self, name: str, at: float, level: str, message: str, fields: dict[str, object]) -> None:
        if self._folder is None:
            return
        with self._adding:
            if self._closing.is_set():
                return
            self._spoken.add(name)
            self._waiting.append((name, at, level, message, fields))
            self._waiting_characters += len(message)
            too_many = len(self._waiting) >= MAX_WAITING or self._waiting_characters >= MAX_WAITING_CHARACTERS
            if self._thread is None:
                self._thread = _started(self._write_soon)
            if len(self._waiting) == 1:
                self._something_waits.set()
        if too_many:
            self.flush()

    def _write_soon(self) -> None:
        while not self._closing.is_set():
            self._something_waits.wait()
            self._closing.wait(FLUSH_SECONDS)
            self.flush()

    def _append(self, name: str, text: str) -> None:
        """A file that cannot be written is tried again with its next lines; those of now are lost, and told once."""
        try:
            file = self._open(name)
            # Half a line may stand at the end of a file that could not take the rest of it.
            data = (("\n" if name in self._torn else "") + text).encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(file, data) :]
            self._torn.discard(name)
        except OSError as error:
            self._torn.add(name)
            file_left = self._files.pop(name, None)
            if file_left is not None:
                os.close(file_left)
            if not self._broken:
                self._broken = True
                self._warn(f"logs of nodes cannot be written to {self._shown_folder}/: {error.strerror or error}")

    def _open(self, name: str) -> int:
        file = self._files.get(name)
        if file is not None:
            self._files.move_to_end(name)
            return file
        if len(self._files) >= MAX_OPEN:
            os.close(self._files.popitem(last=False)[1])
        assert self._folder is not None
        os.makedirs(self._folder, exist_ok=True)
        file = os.open(os.path.join(self._folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._files[name] = file
        return file


def logs_of_node(runs_folder: str, run_id: str, name: str) -> dict[int, str]:
    """Attempt -> path of its log, of one node in one run."""
    folder = os.path.join(runs_folder, run_id, LOGS_FOLDER)
    # The name of the first attempt without its end: a long name is cut.
    start = log_file_name(name, 1).removesuffix(f"1{SUFFIX}")
    try:
        found = [entry for entry in os.listdir(folder) if entry.startswith(start) and entry.endswith(SUFFIX)]
    except OSError:
        return {}
    attempts = {entry[len(start) : -len(SUFFIX)]: entry for entry in found}
    return {
        attempt: os.path.join(folder, attempts[str(attempt)])
        for attempt in sorted(int(text) for text in attempts if text.isdecimal())
    }


def runs_of_target(runs_folder: str, target: str) -> list[str]:
    """Ids of the runs whose folders are there, newest first: they begin with the time."""
    try:
        runs = sorted(os.listdir(runs_folder), reverse=True)
    except OSError:
        return []
    return [run for run in runs if target_of_journal(os.path.join(runs_folder, run, FILE_NAME)) == target]


def _started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="sqlbuild-logs", daemon=True)
    # If the system gives no more threads, lines are written when many wait and at the end.
    with contextlib.suppress(RuntimeError):
        thread.start()
    return thread
