"""Long-lived daemon threads of our own for `def` nodes.

Anyio's worker threads hold up the exit of a process on asyncio while one is stuck; these never do, and handing a job
over costs a queue operation instead of a task.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable

try:
    import sniffio
except ImportError:  # anyio does without it unless trio is installed
    sniffio = None  # type: ignore[assignment]

Job = Callable[[], object]
Done = Callable[[object], None]


class ThreadLane:
    """Runs jobs on at most `size` threads, made when needed; each job in a copy of the creator's context, but for the
    event loop that is named in it: a job may run one of its own.

    `call_soon` runs a function on the event loop from any thread. A job's `done` is called there with what the job
    returned, in the order of ending; a job must not raise.
    """

    def __init__(self, size: int, call_soon: Callable[[Callable[[], None]], None]) -> None:
        self._size = size
        self._call_soon = call_soon
        self._jobs: queue.SimpleQueue[tuple[Job, Done] | None] = queue.SimpleQueue()
        self._ended: deque[tuple[Done, object]] = deque()
        self._delivery_due = False
        self._threads: list[threading.Thread] = []
        self._in_flight = 0
        self._context = contextvars.copy_context()
        if sniffio is not None:
            self._context.run(sniffio.current_async_library_cvar.set, None)

    @property
    def in_flight(self) -> int:
        """Jobs submitted whose end was not delivered yet; read on the event loop's thread."""
        return self._in_flight

    def submit(self, job: Job, done: Done) -> None:
        self._in_flight += 1
        if len(self._threads) < min(self._in_flight, self._size):
            self._add_thread()
        self._jobs.put((job, done))

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"sqlbuild-{len(self._threads) + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more of them: those that there are do the work
            if not self._threads:
                raise
            self._size = len(self._threads)
        else:
            self._threads.append(thread)

    def close(self) -> None:
        """Idle threads end; one that is stuck in a job stays behind as a daemon."""
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, done = entry
            value = self._context.copy().run(job)
            self._ended.append((done, value))
            del entry, job, done, value
            # One wake-up of the loop delivers everything that ended meanwhile.
            if not self._delivery_due:
                self._delivery_due = True
                try:
                    self._call_soon(self._deliver)
                except RuntimeError:
                    return  # the loop is gone: the run ended without this thread

    def _deliver(self) -> None:
        self._delivery_due = False
        while self._ended:
            done, value = self._ended.popleft()
            self._in_flight -= 1
            done(value)
