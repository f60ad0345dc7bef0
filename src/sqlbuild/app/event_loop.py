"""The event loop and the clock of a command."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import anyio

from sqlbuild.errors import EngineError, Problem, ProjectError


class SystemClock:
    # The system's functions themselves: several times for every node they are asked.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep_until(self, monotonic: float) -> None:
        await anyio.sleep(max(0.0, monotonic - time.monotonic()))


def run_async(function: Callable[..., Any], *args: Any, backend: str) -> Any:
    """Run an async function to its end; uvloop is used on asyncio where it is installed."""
    if backend == "trio" and importlib.util.find_spec("trio") is None:
        raise ProjectError(
            Problem(code="EXTRA", message="--backend trio needs trio", help="pip install 'sqlbuild[trio]'")
        )
    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None} if backend == "asyncio" else {}
    try:
        return anyio.run(function, *args, backend=backend, backend_options=options)
    except SystemExit as left:
        # Asyncio lets it end the loop, and everything on it, when it is raised in a task that a node has started.
        raise EngineError(
            f"a task that a node had started called sys.exit({left.code!r}), which ended the run in the middle",
            help="raise an exception there instead",
        ) from left


async def cancel_tasks_left_behind(seconds: float) -> int:
    """Cancel asyncio tasks that nodes have started and left; how many still run after so many seconds."""
    try:
        others = asyncio.all_tasks() - {asyncio.current_task()}
    except RuntimeError:  # on trio, where no task outlives the one that started it
        return 0
    if not others:
        return 0
    for task in others:
        task.cancel()
    _, running = await asyncio.wait(others, timeout=seconds)
    return len(running)
