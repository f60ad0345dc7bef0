from __future__ import annotations

from typing import Protocol


class AnalysisCache(Protocol):
    """Keeps what was found out about a piece of SQL, by content hash, from one command to the next."""

    def load(self, key: str) -> str | None:
        """The JSON text stored under `key`, or None."""

    def store(self, key: str, value: str) -> None: ...

    def flush(self) -> None:
        """Write what is new; entries not used in this session may be dropped."""
