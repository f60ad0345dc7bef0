"""SIGINT, SIGTERM and SIGHUP: the first stops the run, the second leaves."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import anyio
from anyio.abc import TaskStatus

from sqlbuild.runner.run_facts import SIGNAL_EXIT_CODES


async def stop_signals(
    call_soon: Callable[..., None],
    stop: Callable[[str], None],
    leave: Callable[[int], None],
    patience: float,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Until cancelled; only on the main thread. A signal that is ignored, as by `nohup`, stays so.

    `stop` is called on the event loop by `call_soon`, `leave` within the signal itself: also while a node keeps the
    event loop busy and nothing else gets through. If for so long that `stop` is not called within `patience` seconds, the
    first signal counts as two.
    """
    first: signal.Signals | None = None
    insisting: threading.Timer | None = None

    def heard(name: str) -> None:
        if insisting is not None:
            insisting.cancel()
        stop(name)

    def received(number: int, _frame: FrameType | None) -> None:
        nonlocal first, insisting
        if first is None:
            first = signal.Signals(number)
            with contextlib.suppress(RuntimeError):  # the run is over
                call_soon(heard, first.name)
            insisting = threading.Timer(patience, os.kill, (os.getpid(), number))
            insisting.daemon = True
            with contextlib.suppress(RuntimeError):  # the system gives no more threads
                insisting.start()
        else:
            leave(SIGNAL_EXIT_CODES[first.name])

    handlers_before = {
        number: signal.signal(number, received)
        for number in map(signal.Signals.__getitem__, SIGNAL_EXIT_CODES)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        task_status.started()
        await anyio.sleep_forever()
    finally:
        if insisting is not None:
            insisting.cancel()
        for number, handler in handlers_before.items():
            signal.signal(number, handler)
