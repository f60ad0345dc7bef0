"""The journal of one run: a file of JSON lines that outlives the process.

Every line is one record, appended by one write, alone or with others, with a checksum of what follows it:

    {"crc":"5b2f9c01","started":"asset:orders","attempt":1,"at":1795359731.1}

The first one has the format's version and the run's facts. `started` stands before user code runs, `finished` after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.results import RunResult
from sqlbuild.errors import EngineError
from sqlbuild.failpoints import failpoint
from sqlbuild.state.kept_write import kept_write
from sqlbuild.state.node_result_json import dumps, dumps_bytes
from sqlbuild.state.run_journal import VERSION, Entry, RunJournal, fold_entries

FILE_NAME = "journal.jsonl"

_BODY_STARTS = len('{"crc":"00000000",')
_FINISHED = b'{"finished":'
_ENDED = b'"ended":'
_OF_NODES = (b'"started":', b'"finished":', b'"failed":', b'"checkpoints":')
_MAX_END_BYTES = 4_096
_MAX_CHECKPOINTS = 262_144
"""Characters of checkpoints after which a record is ended."""


class FileJournal:
    """`sqlbuild.interfaces.state_store.Journal` in a file in `folder`, which is made if it is not there.

    With `fsync` each record survives the machine's end too, not only the process's. `request` is what the run was
    asked for, as plain JSON, `planned` its nodes with their fingerprints (`Fingerprint.total`): what a later command
    needs to go on with the run.
    """

    def __init__(
        self,
        folder: str,
        *,
        run_id: str,
        target: str,
        fsync: bool = False,
        request: Mapping[str, object] | None = None,
        planned: Mapping[NodeId, str] | None = None,
    ) -> None:
        self.path = str(Path(folder, FILE_NAME))
        self._fsync = fsync
        self._size = 0
        self._held: list[bytes] = []
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._file: int | None = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            failpoint("journal.opened")
        except OSError as error:
            raise _not_written(self.path, "opening it", error) from error
        facts = {"journal": VERSION, "run_id": run_id, "target": target, "started_at": time.time(), **_process()}
        try:
            self._append(dumps({**facts, "request": request}), "its first record")
            failpoint("journal.begun")
            if planned is not None:
                self._append(dumps({"planned": planned}), "what is planned")
        except EngineError:
            self.close()
            raise

    @classmethod
    def reopen(cls, folder: str, *, fsync: bool = False) -> FileJournal:
        """Go on with the journal of a run that is resumed; a torn last record is cut off.

        Raises EngineError if it cannot be read or written.
        """
        journal = cls.__new__(cls)
        journal.path = str(Path(folder, FILE_NAME))
        journal._fsync = fsync
        journal._held = []
        journal._size = os.path.getsize(journal.path) - read_journal(journal.path).dropped_bytes
        try:
            journal._file = os.open(journal.path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(journal._file, journal._size)
        except OSError as error:
            raise _not_written(journal.path, "opening it", error) from error
        return journal

    def resumed(self, run_id: str, planned: Mapping[NodeId, str]) -> None:
        """From here on it is written by another process, for the nodes in `planned` (see `FileJournal`)."""
        self._append(dumps({"resumed": run_id, "at": time.time(), **_process()}), "that the run goes on")
        failpoint("journal.resumed")
        self._append(dumps({"planned": planned}), "what is planned")

    def replayed(self, run_id: str) -> None:
        """Everything that the journal says of a run that was lost is in the warehouse now."""
        self._append(dumps({"replayed": run_id, "at": time.time()}), "that it was replayed")

    def started(self, node: NodeId, attempt: int, at: float) -> None:
        # As many as nodes: without the steps between, and the message only if it is needed.
        self._write(_line(dumps_bytes({"started": node, "attempt": attempt, "at": at})), "the start of ", node)

    def attempt_failed(self, node: NodeId, attempt: int, at: float, error: str) -> None:
        entry = {"failed": node, "attempt": attempt, "at": at, "error": error}
        # The plain encoder escapes whatever an error's message may hold.
        self._append(json.dumps(entry), f"attempt {attempt} of {node}")

    def checkpoints(
        self, node: NodeId, attempt: int, at: float, fingerprint: str, scope: str, entries: Sequence[tuple[str, str]]
    ) -> None:
        for part in _parts(entries):
            entry = {
                "checkpoints": node,
                "attempt": attempt,
                "at": at,
                "fingerprint": fingerprint,
                "scope": scope,
                "values": part,
            }
            self._append(dumps(entry), f"checkpoints of {node}")

    def finished(self, record: str, *, at_once: bool = True) -> None:
        self._held.append(_line(b"%b%b}" % (_FINISHED, record.encode())))
        if at_once:
            self.write_out()

    def write_out(self) -> None:
        if self._held:
            self._write(b"", "a node's result")

    def ended(self, result: RunResult) -> None:
        entry = {
            "ended": result.run_id,
            "at": result.finished_at,
            "exit_code": result.exit_code,
            "stopped_by": result.stopped_by,
            "counts": {str(status): count for status, count in result.counts().items()},
        }
        self._append(dumps(entry), "the end of the run")

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(EngineError):
                self.write_out()
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _append(self, body: str, step: str) -> None:
        self._write(_line(body.encode()), step)

    def _write(self, line: bytes, step: str, node: str = "") -> None:
        """After what was held back."""
        file, held = self._file, self._held
        if file is None:
            raise EngineError(f"the run journal {self.path} is closed; {step}{node} was not written")
        if held:
            self._held = []
            line = b"".join((*held, line))
        size = len(line)
        try:
            written = kept_write(file, line)
            if written < size:
                _refuse_part(written, size)
            if self._fsync:
                os.fsync(file)
        except OSError as error:
            self._cut_back()
            raise _not_written(self.path, f"{step}{node}", error) from error
        self._size += size
        if held:
            failpoint("node.recorded")

    def _cut_back(self) -> None:
        """Half a record must not stand before the ones that may follow it."""
        assert self._file is not None
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self.close()


def read_journal(path: str, *, about: Iterable[NodeId] | None = None) -> RunJournal:
    """Read a journal, also one that is still being written or whose writer was killed.

    `about`: of nodes, only what it says of these, which is read in a tenth of the time. A torn last record is left out (see `RunJournal.notes`). Raises EngineError for damage before that, with file and
    byte offset, and for a journal of a newer version.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _not_read(path, error) from error
    lines = list(_lines(content))
    dropped_bytes = 0
    if lines and not _is_whole(lines[-1][1]):
        dropped_bytes = len(lines.pop()[1])
    names = None if about is None else [dumps(node).encode() for node in about]
    return fold_entries(
        [_entry(path, offset, line) for offset, line in lines if _is_wanted(path, offset, line, names)], dropped_bytes
    )


def journal_has_ended(path: str) -> bool:
    """Whether the run came to its end; False for a journal that is missing, torn or damaged there."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MAX_END_BYTES))
            tail = file.read()
    except OSError:
        return False
    last = tail[tail.rfind(b"\n", 0, -1) + 1 :]
    return _is_whole(last) and last.startswith(_ENDED, _BODY_STARTS)


def read_opening(path: str) -> RunJournal:
    """What the first record alone says of a run: its facts and what it was asked for; cheap.

    Raises EngineError if it is not there or damaged.
    """
    try:
        with open(path, "rb") as file:
            first = file.readline()
    except OSError as error:
        raise _not_read(path, error) from error
    return fold_entries([_entry(path, 0, first)])


def target_of_journal(path: str) -> str | None:
    """The target of a run, from the first record only; None for a journal that is missing or damaged there."""
    try:
        target = read_opening(path).target
    except EngineError:
        return None
    return target if isinstance(target, str) else None


def _parts(entries: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """All of them in as few records as keep a bound on their size."""
    part: list[tuple[str, str]] = []
    size = 0
    for key, text in entries:
        if part and size > _MAX_CHECKPOINTS:
            yield part
            part, size = [], 0
        part.append((key, text))
        size += len(key) + len(text)
    yield part


def _process() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each line, with its line break."""
    offset = 0
    while offset < len(content):
        end = content.find(b"\n", offset) + 1 or len(content)
        yield offset, content[offset:end]
        offset = end


def _line(body: bytes) -> bytes:
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body[1:])


def _checksum(body: bytes) -> bytes:
    return b'{"crc":"%08x",' % zlib.crc32(body)


def _is_whole(line: bytes) -> bool:
    return line.endswith(b"}\n") and line[:_BODY_STARTS] == _checksum(b"{" + line[_BODY_STARTS:-1])


def _is_wanted(path: str, offset: int, line: bytes, names: list[bytes] | None) -> bool:
    """Whether a line may be about one of the nodes with these quoted ids, or about the run. Raises for a damaged one."""
    if names is None or not line.startswith(_OF_NODES, _BODY_STARTS) or any(name in line for name in names):
        return True
    _refuse_damage(path, offset, line)
    return False


def _refuse_damage(path: str, offset: int, line: bytes) -> None:
    if not _is_whole(line):
        raise EngineError(
            f"the run journal {path} is damaged at byte {offset}",
            help="move it away to go on without it: what the warehouse has of that run stays",
        )


def _entry(path: str, offset: int, line: bytes) -> tuple[Entry, str | None]:
    _refuse_damage(path, offset, line)
    body = "{" + line[_BODY_STARTS:-1].decode()
    entry: Entry = json.loads(body)
    version = entry.get("journal", VERSION)
    if version > VERSION:
        raise EngineError(
            f"the run journal {path} has version {version}; this sqlbuild reads up to {VERSION}",
            help="use the sqlbuild that wrote it, or a newer one",
        )
    return entry, body[len(_FINISHED) : -1] if "finished" in entry else None


def _refuse_part(written: int, size: int) -> None:
    raise OSError(f"only {written} of {size} bytes were written")


def _not_read(path: str, error: OSError) -> EngineError:
    return EngineError(f"the run journal {path} cannot be read: {error.strerror}")


def _not_written(path: str, step: str, error: OSError) -> EngineError:
    return EngineError(
        f"the run journal {path} cannot be written ({step}): {error.strerror or error}",
        help="free space or make the folder writable, then build again",
    )
