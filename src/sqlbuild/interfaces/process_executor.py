"""Runs nodes in worker processes, one at a time each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sqlbuild.domain.record import record


@record(frozen=True, slots=True)
class WorkerEnded:
    """The worker has told how its order ended, in the words of the one who gave the order."""

    ending: Any


@record(frozen=True, slots=True)
class WorkerDied:
    """`how` continues `the worker process ...`, for example `was killed by SIGSEGV`."""

    how: str
    signal: str | None = None


@record(frozen=True, slots=True)
class WorkerKilled:
    """The worker was killed on purpose: the order took longer than its time limit (`late`), or everything stops."""

    late: bool


Ending = WorkerEnded | WorkerDied | WorkerKilled


class Conversation(Protocol):
    """One order to a worker and the talk about it. All of it happens on the thread that called `run`."""

    @property
    def order(self) -> object:
        """Plain data for the worker."""

    @property
    def time_limit(self) -> float | None:
        """Seconds, from the moment at which the worker says that it begins."""

    def heard(self, message: tuple[Any, ...], reply: Callable[[tuple[Any, ...]], None]) -> None:
        """What the worker says while it works; `reply` may be called later and from any thread."""

    def printed(self, level: str, text: str) -> None:
        """What was written to the worker's standard output (level `print`) or error (`stderr`) past Python."""

    def unsendable(self, message: tuple[Any, ...], error: Exception) -> tuple[Any, ...]:
        """What to say instead of a reply that is not plain data."""

    def closing(self) -> None:
        """The worker is about to be killed: nothing more is done for it."""


class ProcessExecutor(Protocol):
    def run(self, conversation: Conversation) -> Ending:
        """Have a worker carry out an order and wait for its end. Raises OSError if no worker can be started."""

    def stop(self) -> None:
        """From any thread, without waiting: everything that runs is killed, and whatever is ordered later too."""

    def close(self) -> None:
        """Idle workers are told to end."""

    @property
    def alive(self) -> int:
        """Workers that have not ended yet."""

    def last_words(self) -> list[tuple[Any, ...]]:
        """What workers have said after `close` and before they ended."""

    def kill(self) -> None:
        """Every worker is killed at once, with the processes that its nodes have started."""
