"""Whether the task of a worker is still as a new one would be, so that no node notices which one ran before it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import operator


class OwnTask:
    """The task that makes it, as it is at that moment."""

    __slots__ = ("_task", "_values", "_variables")

    def __init__(self) -> None:
        context = contextvars.copy_context()
        self._variables = tuple(context)
        self._values = tuple(context.values())
        try:
            self._task = asyncio.current_task()
        except RuntimeError:  # on trio, where nobody can cancel a task from outside its scopes
            self._task = None

    @property
    def guards_scopes(self) -> bool:
        """Whether scopes that a node leaves open can be closed behind it: asyncio has nothing for that."""
        return self._task is None

    def is_as_new(self) -> bool:
        """False if a node set a context variable or cancelled the task, which it may have got hold of."""
        if self._task is not None and self._task.cancelling():
            return False
        now = contextvars.copy_context()
        # By identity: values are the author's, and comparing them could do or raise anything.
        return len(now) == len(self._variables) and all(map(operator.is_, map(now.get, self._variables), self._values))

    async def forget_cancellation(self) -> None:
        """Take back what a node's `Task.cancel()` has asked for and not brought about yet."""
        if self._task is None or not self._task.cancelling():
            return
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        while self._task.uncancel():
            pass
