"""Named points where the fault tests kill, raise or stop the process; nothing happens when unset.

`SQB_FAILPOINT=name[:kill|raise|exit|sleep|enospc][@n]` acts on the n-th (default first) time `name` is reached: `sleep`
stays there for a minute, `enospc` raises what the system does when a disk is full.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time

SLEEP_SECONDS = 60.0


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
    if _ACTION == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if _ACTION == "exit":
        os._exit(70)
    if _ACTION == "sleep":
        time.sleep(SLEEP_SECONDS)
        return
    if _ACTION == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise FailpointReached(name)
