"""One writer per target: a lock that the operating system frees with the process that holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a target, in its own words. It only informs: who may write is decided by the system alone."""

    pid: int
    host: str
    command: str
    """For example `sqb build`; without its arguments, which may hold anything."""
    target: str
    """Empty if that is not known."""
    since: float
    """Seconds since the epoch."""
    run_id: str | None = None
    process_mark: str = ""
    """Tells the process from a later one with the same number; empty where the system does not say."""
    session: int | None = None
    """The number of a server's process that holds the lock for it."""

    def __str__(self) -> str:
        return f"run {self.run_id}" if self.run_id else self.command


class TargetLock(Protocol):
    """The lock of one target. What is said of it may be old by the time it is read, but never who holds it.

    Where a server keeps it, everything that is asked raises WarehouseUnreachable, except `tell` and `release`.
    """

    def take(self) -> bool:
        """Without waiting: whether this process holds it now. Raises WarehouseUnreachable if it cannot be made.

        Where the file system has no locks it counts as held, and `warning` says so.
        """

    def tell(self, *, command: str, target: str, run_id: str | None = None) -> None:
        """Say who holds it, for those that wait."""

    def release(self) -> None:
        """Give it back, if it is held, and whatever was opened to ask for it. From any thread."""

    def when_lost(self, function: Callable[[bool], None]) -> None:
        """Call `function`, from any thread, whenever the lock is lost while it is held: with True once this process has
        it again, with False if another one has it now."""

    def is_held(self) -> bool:
        """Whether any process holds it; nothing is written to find out."""

    def holder(self) -> Holder | None:
        """Who says to hold it; meaningful only while it is held."""

    def is_running_here(self, holder: Holder) -> bool:
        """Whether the holder's process can be seen on this machine."""

    def advice(self, holder: Holder | None) -> str:
        """What can be done about a holder that cannot be seen here, or that has not said who it is."""

    @property
    def readers_wait(self) -> bool:
        """Whether nobody can read the target while it is held."""

    @property
    def warning(self) -> str | None:
        """Why it protects nothing, if that is so."""
