"""Named points where the fault tests kill, stop or fail the process; nothing happens when unset.

`SQB_FAILPOINT=name[:action][@n]` acts on the n-th (default first) time that `name` is reached:

    kill exit sleep         SIGKILL, `os._exit(70)`, a minute of standing still
    sigint sigterm sighup   the signal, as another process would send it; then the process goes on
    enospc eio              what the system raises when a disk is full, or broken
    raise                   `FailpointReached`; what is meant without an action
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time

SLEEP_SECONDS = 60.0
_SIGNALS = {"kill": "SIGKILL", "sigint": "SIGINT", "sigterm": "SIGTERM", "sighup": "SIGHUP"}
_ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO}


class FailpointReached(RuntimeError):
    """Raised by a failpoint whose action is `raise`."""


def _parse(spec: str) -> tuple[str, str, int]:
    name, _, count = spec.partition("@")
    name, _, action = name.partition(":")
    return name, action or "raise", int(count or 1)


_NAME, _ACTION, _AT = _parse(os.environ.get("SQB_FAILPOINT", ""))
_reached = itertools.count(1)


def failpoint(name: str) -> None:
    """Act if `SQB_FAILPOINT` names this point; else only compare two strings."""
    if name != _NAME or next(_reached) != _AT:
        return
    if _ACTION in _SIGNALS:
        os.kill(os.getpid(), signal.Signals[_SIGNALS[_ACTION]])
    elif _ACTION in _ERRORS:
        raise OSError(_ERRORS[_ACTION], os.strerror(_ERRORS[_ACTION]))
    elif _ACTION == "exit":
        os._exit(70)
    elif _ACTION == "sleep":
        time.sleep(SLEEP_SECONDS)
    else:
        raise FailpointReached(name)
