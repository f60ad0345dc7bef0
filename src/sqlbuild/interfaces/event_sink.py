from __future__ import annotations

from typing import Protocol

from sqlbuild.domain.events import Event


class EventSink(Protocol):
    """Shows or records what happens. Called from one thread that is not the event loop's, one event at a time."""

    def handle(self, event: Event) -> None: ...

    def tick(self) -> None:
        """Called about ten times a second while a run lasts, after the events of that interval."""

    def close(self) -> None: ...
