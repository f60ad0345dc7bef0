"""The end of the process: with its exit code, whatever hangs, and without taking apart what nobody needs any more."""

from __future__ import annotations

import fcntl
import gc
import os
import stat
import sys
import threading
import time
from typing import NoReturn

from sqlbuild.cli.output import flush_streams

_STANDARD_STREAMS = 3


def leave(code: int) -> NoReturn:
    """End the process with `code`, also if a thread of the run hangs in a full pipe or in a node's code."""
    own = [thread for thread in threading.enumerate() if thread.daemon and thread.name.startswith("sqlbuild")]
    patience = time.monotonic() + 0.5
    for thread in own:
        thread.join(max(0.0, patience - time.monotonic()))
    if any(thread.is_alive() for thread in own):
        # It may hold the lock of stdout, and must not meet the end of the interpreter.
        os._exit(code)
    flush_streams()
    # Python itself ends by SIGINT if a Ctrl-C ever came through code that exec() ran, such as that of dataclasses; this
    # makes it forget that.
    exec("")  # noqa: S102
    sys.exit(code)


class QuickEnd:
    """Ends the process when everything that is registered with `atexit` has run: to be registered first.

    Python would free one object after the other, which for a project of 10,000 nodes takes longer than to plan it. It
    does so all the same where somebody may still write something then: files and sockets that are open, a debugger, a
    profiler or a measurement of coverage.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        """Without one the process ends as usual."""

    def __call__(self) -> None:
        if self.code is not None and not _is_watched() and not _has_open_files():
            flush_streams()
            os._exit(self.code)
        # `open_project` has frozen what it read: whoever writes something when it is freed is to be freed.
        gc.unfreeze()


def _is_watched() -> bool:
    if sys.gettrace() is not None or sys.getprofile() is not None or sys.flags.dev_mode or sys.flags.inspect:
        return True
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and any(monitoring.get_tool(number) for number in range(6))


def _has_open_files() -> bool:
    """Files and pipes that can be written to, and sockets; unknown where the system does not list them."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return True
    read: set[int] = set()
    written: set[int] = set()
    for number in numbers:
        try:
            status = os.fstat(number)
            is_read_only = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        except OSError:
            continue  # what the list itself was read from
        if number < _STANDARD_STREAMS:
            continue
        if stat.S_ISSOCK(status.st_mode) or (stat.S_ISREG(status.st_mode) and not is_read_only):
            return True
        if stat.S_ISFIFO(status.st_mode):
            (read if is_read_only else written).add(status.st_ino)
    # A pipe that only this process reads from is how its threads wake each other.
    return not written <= read
