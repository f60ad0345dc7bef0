"""The lock of a target: `flock` on a file beside the database, which the system frees with its holder.

`flock` belongs to the open file. Other than a lock of `fcntl`, it is not lost when something else in the process opens and
closes the same file, such as a node that copies the folder. A forked child would keep it alive after the death of
its parent, so the child closes its copy at once; a started program never gets one.

The file has a text about its holder and is removed with the lock. Whoever gets the lock of a file that is not the one
under that name any more opens the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from sqlbuild.errors import WarehouseUnreachable
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.target_lock import Holder

SUFFIX = ".lock"

_TRIES = 4
_PAUSE_SECONDS = 0.005
"""Others that only look at the lock hold it for less."""
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})


class FileTargetLock:
    """`sqlbuild.interfaces.target_lock.TargetLock` of the database file `database`."""

    def __init__(self, database: str) -> None:
        self._path = os.path.realpath(database) + SUFFIX
        self._file: int | None = None
        self._guard = threading.Lock()
        self._warning: str | None = None
        _of_this_process.add(self)

    @property
    def readers_wait(self) -> bool:
        return True

    @property
    def warning(self) -> str | None:
        return self._warning

    def take(self) -> bool:
        with self._guard:
            if self._file is not None:
                return True
            for attempt in range(_TRIES):
                if attempt:
                    time.sleep(_PAUSE_SECONDS)
                if self._try_to_take():
                    return True
            return False

    def _try_to_take(self) -> bool:
        try:
            # The file is made if needed, but a link in its place is not followed: its target would be overwritten.
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            # There is no folder, so there is no database either: the warehouse tells it better.
            return True
        except OSError as error:
            raise _not_made(self._path, error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            os.close(file)
            if error.errno not in _NO_LOCKS:
                raise _not_made(self._path, error) from error
            self._warning = _no_locks(self._path, error)
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            return True
        if not _is_at(file, self._path):
            # Its holder removed it while we were opening it; the name may have another file by now.
            os.close(file)
            return False
        self._file = file
        failpoint("lock.taken")
        return True

    def tell(self, *, command: str, target: str, run_id: str | None = None) -> None:
        holder = Holder(
            pid=os.getpid(),
            host=socket.gethostname(),
            command=command,
            target=target,
            since=time.time(),
            run_id=run_id,
            process_mark=process_mark(os.getpid()),
        )
        text = json.dumps(dataclasses.asdict(holder)).encode() + b"\n"
        with self._guard:
            if self._file is not None:
                # It only informs: a full disk must not keep anybody from building.
                with contextlib.suppress(OSError):
                    os.pwrite(self._file, text, 0)
                    os.ftruncate(self._file, len(text))

    def release(self) -> None:
        with self._guard:
            file, self._file = self._file, None
            if file is None:
                return
            with contextlib.suppress(OSError):
                if _is_at(file, self._path):
                    os.unlink(self._path)
            failpoint("lock.unlinked")
            os.close(file)

    def is_held(self) -> bool:
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(file)
        return False

    def holder(self) -> Holder | None:
        try:
            return Holder(**json.loads(Path(self._path).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def is_running_here(self, holder: Holder) -> bool:
        return holder.host == socket.gethostname() and process_mark(holder.pid) == holder.process_mark

    def advice(self, holder: Holder | None) -> str:
        if holder is None:
            return f"find it with `fuser {self._path}`, and wait for it"
        return f"its process is on {holder.host}: look there, or wait longer with --lock-timeout SECONDS"

    def when_lost(self, function: Callable[[bool], None]) -> None:
        """The system takes it from nobody."""

    def let_go_in_child(self) -> None:
        """After a fork, in the child: its copy of the open file must not outlive the parent."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def process_mark(pid: int) -> str:
    """Boot and start time of a process: no other one has them with the same number."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()}/{started}"
    except (OSError, IndexError):
        return ""


def _not_made(path: str, error: OSError) -> WarehouseUnreachable:
    folder = os.path.dirname(path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and not os.path.exists(path):
        return WarehouseUnreachable(
            f"{folder} is not writable, so the lock of the target cannot be put beside its database",
            help=f"look at it with `ls -ld {folder}`; make it writable for you, or move the database",
        )
    return WarehouseUnreachable(
        f"the lock of the target, {path}, cannot be opened: {error.strerror or error}",
        help=f"look at it with `ls -l {path}`; without a running build it can be removed",
    )


def _no_locks(path: str, error: OSError) -> str:
    return (
        f"the file system of {path} has no locks ({error.strerror}): nothing keeps two builds of this target apart; "
        "put the database on a local disk"
    )


# A fork copies the open files of the whole process, so this belongs to the process too.
_of_this_process: weakref.WeakSet[FileTargetLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    for lock in _of_this_process:
        lock.let_go_in_child()


os.register_at_fork(after_in_child=_let_go_in_child)
