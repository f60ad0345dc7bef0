from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Executor(Protocol):
    """Runs `def` nodes away from the event loop."""

    @property
    def in_flight(self) -> int:
        """Jobs submitted whose end was not delivered yet; read on the event loop's thread."""

    def submit(self, job: Callable[[], object], done: Callable[[object], None]) -> None:
        """Run `job` (which must not raise) on a worker; call `done` with what it returned on the event loop."""

    def close(self) -> None:
        """Idle workers end; one that is stuck in a job is left behind."""
