"""Files that are being written, under names by which they can be found when nobody writes them any more.

Everything here blocks and belongs on a thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import re
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator

import anyio.from_thread

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import ExportError
from sqlbuild.runner.exporting.paths import WORKING_PREFIX

CHUNK_BYTES = 1 << 20

_WORKING = pattern(re.escape(WORKING_PREFIX) + r"([^~]+)~[^~]*~\d+-\d+-[0-9a-f]+\.tmp")
_EMPTY_ARRAY_BYTES = len("[\n\t\n]\n")
_MAX_NODE = 100
_SPOOL = ".spool"
_FULL_HELP = "free space or make the folder writable, then build again; what was there before is as it was"


@record(frozen=True, slots=True, kw_only=True)
class WorkingName:
    """Of something that attempt `attempt` of `node` writes; `number` counts within the attempt. A resumed run has the id
    of the one that it resumes, so there is a `token` for each process."""

    run_id: str
    node: str
    attempt: int
    number: int
    token: str

    def __str__(self) -> str:
        return f"{WORKING_PREFIX}{self.run_id}~{self.node[:_MAX_NODE]}~{self.attempt}-{self.number}-{self.token}.tmp"

    def of_spool(self) -> WorkingName:
        """For what is written before the file itself is."""
        return dataclasses.replace(self, node=f"{self.node[: _MAX_NODE - len(_SPOOL)]}{_SPOOL}")

    @property
    def generation(self) -> str:
        """Name of a folder with the files of one partitioned export."""
        return f"data.{self.run_id}.{self.attempt}.{self.number}.{self.token}"


def run_of_working_name(name: str) -> str | None:
    """The run that an unfinished file is of; None for any other file."""
    found = _WORKING.fullmatch(name)
    return found[1] if found else None


@record(frozen=True, slots=True, kw_only=True)
class FileFacts:
    bytes: int
    sha256: str
    rows: int | None = None
    """None where the format does not tell."""


class HashingFile(io.RawIOBase):
    """A file that counts and hashes what is written to it. Once `dead` it takes everything and keeps nothing: writers of
    others' may still want to write an end."""

    def __init__(self, write: Callable[[memoryview], object]) -> None:
        super().__init__()
        self._write = write
        self._sha256 = hashlib.sha256()
        self._bytes = 0
        self.dead = False

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        if not self.dead:
            self._write(view)
            self._sha256.update(view)
            self._bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self._bytes

    @property
    def facts(self) -> FileFacts:
        return FileFacts(bytes=self._bytes, sha256=self._sha256.hexdigest())


@contextlib.contextmanager
def step(shown: str, doing: str) -> Iterator[None]:
    """Turn what the system says while something is done for the export to `shown` into ExportError."""
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"{shown} could not be written ({doing}): {error.strerror or error}", help=_FULL_HELP
        ) from error


def make_folder(folder: str) -> None:
    """With those above it; they are on disk when this returns."""
    missing: list[str] = []
    path = folder
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    for path in missing:
        sync_folder(os.path.dirname(path))


def create_file(path: str, replaces: str | None = None) -> None:
    """A new, empty file, with the permissions of the one that it will replace."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if replaces is not None and os.path.exists(replaces):
            os.fchmod(file, stat.S_IMODE(os.stat(replaces).st_mode))
    finally:
        os.close(file)


def sync_file(path: str) -> None:
    _sync(path, os.O_RDONLY)


def sync_folder(path: str) -> None:
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str, flags: int) -> None:
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def remove(path: str) -> None:
    """A file or a folder, if it is there. Never raises: what stays is found by the next run."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


def read_facts(path: str, format: ExportFormat | None = None) -> FileFacts:
    """Read a file once; with a format of text its rows are counted. Ends early when the caller is cancelled."""
    sha256, size = hashlib.sha256(), 0
    counter = None if format is None else _RowCounter.of(format)
    for chunk in chunks_of(path):
        sha256.update(chunk)
        size += len(chunk)
        if counter is not None:
            counter.add(chunk)
    rows = None if counter is None else counter.rows
    if format is ExportFormat.JSON and size <= _EMPTY_ARRAY_BYTES:
        rows = 0
    return FileFacts(bytes=size, sha256=sha256.hexdigest(), rows=rows)


def chunks_of(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            _stop_if_cancelled()
            yield chunk


def _stop_if_cancelled() -> None:
    try:
        anyio.from_thread.check_cancelled()
    except RuntimeError:  # not one of anyio's threads
        return


class _RowCounter:
    """Counts lines, but for those within quotes; `less` of them are no rows."""

    def __init__(self, *, less: int, quoted: bool, packed: bool) -> None:
        self._less = less
        self._quoted = quoted
        self._unpack = zlib.decompressobj(wbits=31).decompress if packed else bytes
        self._lines = 0
        self._inside = False

    @classmethod
    def of(cls, format: ExportFormat) -> _RowCounter | None:
        match format:
            case ExportFormat.CSV | ExportFormat.CSV_GZ:
                return cls(less=1, quoted=True, packed=format is ExportFormat.CSV_GZ)
            case ExportFormat.JSON:
                return cls(less=2, quoted=False, packed=False)
            case ExportFormat.JSONL:
                return cls(less=0, quoted=False, packed=False)
        return None

    def add(self, chunk: bytes) -> None:
        text = self._unpack(chunk)
        if not self._quoted:
            self._lines += text.count(b"\n")
            return
        # A quote within quotes is written twice, so each one that is found changes sides.
        parts = text.split(b'"')
        self._lines += sum(part.count(b"\n") for part in parts[int(self._inside) :: 2])
        self._inside ^= len(parts) % 2 == 0

    @property
    def rows(self) -> int:
        return max(0, self._lines - self._less)
