"""What nodes say, kept apart for each node and attempt."""

from __future__ import annotations

from typing import Protocol

from sqlbuild.domain.events import NodeLogged
from sqlbuild.domain.results import ErrorFacts


class NodeLogs(Protocol):
    """Never raises; called from any thread. A caller may be held up for as long as it takes to write what waits."""

    def said(self, event: NodeLogged) -> None:
        """Keep one message of a node, and hand it on to whoever shows it."""

    def failed(self, name: str, attempt: int, at: float, error: ErrorFacts, retry_in: float | None) -> str | None:
        """Keep why an attempt failed; `retry_in` is in seconds, None if it was the last. Returns what `path` does."""

    def flush(self) -> None:
        """When it returns, everything said before is written, or it was warned that it cannot be."""

    def path(self, name: str, attempt: int) -> str | None:
        """Where an attempt's log is, relative to the project's root; None if it has none or cannot be written."""
