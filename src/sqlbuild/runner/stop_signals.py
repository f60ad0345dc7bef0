"""SIGINT, SIGTERM and SIGHUP: the first stops the run, the second leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus

from sqlbuild.runner.run_facts import SIGNAL_EXIT_CODES


async def stop_signals(
    stop: Callable[[str], None],
    leave: Callable[[int], None],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Until cancelled; only on the main thread."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
        task_status.started()
        first: signal.Signals | None = None
        async for number in received:
            if first is None:
                first = number
                stop(number.name)
            else:
                leave(SIGNAL_EXIT_CODES[first.name])
