"""Work that must come to its end in an orderly way, also when whoever waits for it is cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def run_to_its_end(
    work: Callable[[Callable[[], Awaitable[object]]], Awaitable[T]],
    *,
    already_asked: Callable[[], bool] = lambda: False,
) -> T:
    """Await `work(stop_asked)`, which no cancellation of the caller reaches.

    `stop_asked()` returns when the caller was cancelled, and at once if `already_asked()`; the cancellation goes on once
    `work` has ended.
    """
    stop_asked, ended = anyio.Event(), anyio.Event()
    values: list[T] = []
    failure: BaseException | None = None
    interrupted: KeyboardInterrupt | None = None

    async def asked() -> None:
        if not already_asked():
            await stop_asked.wait()

    async def shielded() -> None:
        nonlocal failure
        with anyio.CancelScope(shield=True):
            try:
                values.append(await work(asked))
            except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
                failure = error
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shielded)
        try:
            await ended.wait()
        except KeyboardInterrupt as interrupt:
            # Trio raises it here; out of the task group it would come as a group.
            interrupted = interrupt
        finally:
            stop_asked.set()
    try:
        if interrupted is not None:
            raise interrupted
        if failure is not None:
            raise failure
        return values[0]
    finally:
        failure = interrupted = None  # they hold this frame
