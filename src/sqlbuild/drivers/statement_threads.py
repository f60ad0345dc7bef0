"""Worker threads for blocking statements, the same on asyncio, uvloop and trio.

They are daemon threads of our own: one that a statement keeps busy does not hold up the exit of the process, and
waiting for a statement needs no task and no task group beside the waiting one.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

INTERRUPT_EVERY_SECONDS = 0.02
JOIN_SECONDS = 1.0


class StatementThreads:
    """Made on the event loop's thread. A thread is started when none is idle; how many statements run at once is
    decided by who issues them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call[object] | Callable[[], object] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        loop = anyio.lowlevel.current_token().native_token
        self._call_soon: Callable[[Callable[[], None]], object] = (
            loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon  # type: ignore[attr-defined]
        )

    async def run(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """Run `work` on a thread and return what it returns or raise what it raises.

        When the caller is cancelled, `interrupt` is called on the event loop again and again (it may do nothing while
        no statement runs) until the thread is done. Work that came to its end all the same counts: its value is
        returned, and the cancellation is seen at the caller's next checkpoint. Nothing begins for a caller that is
        cancelled already.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        call = _Call(work)
        self._submit(call)
        try:
            await call.ended.wait()
        except anyio.get_cancelled_exc_class():
            call.unwanted = True
            await _interrupt_until_ended(call, interrupt)
            if call.error is not None:
                raise
        try:
            if call.error is not None:
                raise call.error
            return call.value
        finally:
            del call  # its error holds this frame

    def post(self, work: Callable[[], object]) -> None:
        """Run `work`, which is short and does not raise, some time on any thread. May be called from a finalizer."""
        # No lock here: the garbage collector can call this while the same thread holds it.
        self._calls.put(work)

    def close(self) -> None:
        """End the idle threads and wait a moment for them; one that is stuck in a statement stays behind."""
        for _ in self._threads:
            self._calls.put(None)
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _submit(self, call: _Call[T]) -> None:
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads) + 1}", daemon=True)
                thread.start()
                self._threads.append(thread)
        self._calls.put(call)  # type: ignore[arg-type]

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if not isinstance(call, _Call):
                call()
                del call  # while the thread is idle it holds on to nothing
                continue
            call.run()
            with self._lock:
                self._idle += 1
            try:
                self._call_soon(call.ended.set)
            except RuntimeError:
                return  # the event loop is gone, and with it whoever waited
            del call


class _Call(Generic[T]):
    """One piece of work. `ended` is set on the event loop; the rest is written by the thread before that."""

    __slots__ = ("_work", "ended", "error", "unwanted", "value")

    value: T

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.ended = anyio.Event()
        self.error: BaseException | None = None
        self.unwanted = False

    def run(self) -> None:
        if self.unwanted:
            self.error = NeverStarted()
            return
        try:
            self.value = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
            self.error = error


class NeverStarted(RuntimeError):
    """The caller was cancelled before a thread took its work up."""


async def _interrupt_until_ended(call: _Call[T], interrupt: Callable[[], None]) -> None:
    with anyio.CancelScope(shield=True):
        while not call.ended.is_set():
            interrupt()
            try:
                with anyio.move_on_after(INTERRUPT_EVERY_SECONDS):
                    await call.ended.wait()
            except anyio.get_cancelled_exc_class():
                continue  # asyncio's own Task.cancel() goes through shields; the statement must end first
