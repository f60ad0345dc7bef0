"""Long-lived workers that await nodes, one after the other, on the event loop.

One standby worker is enough: it starts the next one when it finds more to do. So a node that never waits needs no
task of its own, and 100,000 nodes never mean 100,000 tasks.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from sqlbuild.interfaces.clock import Clock
from sqlbuild.runner.attempts import Attempt, close_session
from sqlbuild.runner.outcomes import Cancelled, Outcome
from sqlbuild.runner.own_task import OwnTask

SLICE_SECONDS = 0.005
"""How long workers may go on without letting anything else use the event loop."""


class Workers:
    """`begin` says that an attempt starts, and False if it must not; `call` awaits it, `ended` is told its outcome;
    `cancelled` is called when an attempt was cancelled from outside. After `ended` comes either the next `begin`, or
    `settle` before anything else happens. `open` comes before any `add`."""

    def __init__(
        self,
        clock: Clock,
        *,
        begin: Callable[[Attempt], bool],
        call: Callable[[Attempt, bool], Awaitable[Outcome]],
        ended: Callable[[Attempt, Outcome], None],
        settle: Callable[[], None],
        cancelled: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._begin = begin
        self._call = call
        self._ended = ended
        self._settle = settle
        self._cancelled = cancelled
        self._waiting: deque[Attempt] = deque()
        self._standby = False
        self._goes_on = False
        """Whether what is added now is seen by a worker before anything else happens."""
        self._pausing = 0
        self._turns = 0
        """Changes whenever a worker has had the event loop."""
        self._stopped = False
        self._tasks: TaskGroup | None = None
        self._context = contextvars.Context()

    @property
    def waiting(self) -> int:
        """How many attempts wait for a worker."""
        return len(self._waiting)

    def open(self, tasks: TaskGroup) -> None:
        """Nodes find the context variables that are set now."""
        self._tasks = tasks
        self._context = contextvars.copy_context()

    def close(self) -> None:
        """The task group is gone: nothing is taken any more."""
        self._tasks = None

    def add(self, attempt: Attempt) -> None:
        self._waiting.append(attempt)
        if not self._goes_on:
            self._need_worker()

    def stop(self) -> list[Attempt]:
        """Begin nothing more; returns the attempts that had not begun."""
        self._stopped = True
        never_begun = list(self._waiting)
        self._waiting.clear()
        return never_begun

    def _need_worker(self) -> None:
        if not self._standby and self._tasks is not None and len(self._waiting) > self._pausing:
            self._standby = True
            # Whoever asks for it may stand in a task whose node has left context variables set.
            self._context.copy().run(self._tasks.start_soon, self._work)

    async def _work(self) -> None:
        """Await one node after the other. While a node waits, the standby takes the next one."""
        self._standby = False
        own_task = OwnTask()
        guards_scopes = own_task.guards_scopes
        slice_ends = self._clock.monotonic() + SLICE_SECONDS
        while self._waiting and not self._stopped:
            attempt = self._waiting.popleft()
            if self._waiting and not self._standby:
                self._need_worker()
            if not self._begin(attempt):
                break
            self._turns = turn = self._turns + 1
            outcome = await self._call(attempt, guards_scopes)
            others_ran = self._turns != turn
            self._turns += 1
            if isinstance(outcome, Cancelled):
                self._cancelled()
            as_new = own_task.is_as_new() and not attempt.left_scope_open
            if not as_new and not self._stopped:
                await own_task.forget_cancellation()
            if attempt.session is not None and attempt.session.holds_connection:
                outcome = await close_session(attempt, outcome)
            self._goes_on = as_new
            try:
                self._ended(attempt, outcome)
            finally:
                self._goes_on = False
            if not as_new:
                # The next node gets a worker of its own, so that it notices nothing of this one.
                break
            # After a node that has waited, one more may begin: if that waits too, the event loop is free.
            if not others_ran and self._clock.monotonic() > slice_ends:
                self._settle()
                if self._standby:
                    # It is the next to have the event loop; two workers would keep it for two slices in each round.
                    break
                await self._pause()
                slice_ends = self._clock.monotonic() + SLICE_SECONDS
        self._settle()
        self._need_worker()

    async def _pause(self) -> None:
        """Let everything else use the event loop once."""
        self._pausing += 1
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            self._pausing -= 1
