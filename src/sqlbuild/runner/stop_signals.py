"""SIGINT, SIGTERM and SIGHUP: the first stops the run, the second leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

import anyio
from anyio.abc import TaskStatus

from sqlbuild.runner.run_facts import SIGNAL_EXIT_CODES


async def stop_signals(
    call_soon: Callable[..., None],
    stop: Callable[[str], None],
    leave: Callable[[int], None],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Until cancelled; only on the main thread.

    `stop` is called on the event loop by `call_soon`, `leave` within the signal itself: also while a node keeps the
    event loop busy and nothing else gets through.
    """
    first: signal.Signals | None = None

    def received(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = signal.Signals(number)
            call_soon(stop, first.name)
        else:
            leave(SIGNAL_EXIT_CODES[first.name])

    handlers_before = {
        number: signal.signal(number, received) for number in map(signal.Signals.__getitem__, SIGNAL_EXIT_CODES)
    }
    try:
        task_status.started()
        await anyio.sleep_forever()
    finally:
        for number, handler in handlers_before.items():
            signal.signal(number, handler)
