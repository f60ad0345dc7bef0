"""Plain lines, one per finished node: for logs, pipes, CI and terminals that cannot move their cursor."""

from __future__ import annotations

from typing import TextIO

from sqlbuild.domain.events import Event, RunFinished, RunStarted
from sqlbuild.reporting.run_lines import RunLines


class PlainConsole:
    """Writes what `run_lines` makes to `stream`, in one write per tick."""

    def __init__(self, stream: TextIO, run_lines: RunLines) -> None:
        self._stream = stream
        self._run_lines = run_lines
        self._unwritten: list[str] = []

    def handle(self, event: Event) -> None:
        lines = self._run_lines.lines(event)
        if lines:
            self._unwritten += lines
            if isinstance(event, (RunStarted, RunFinished)):
                self.tick()

    def tick(self) -> None:
        if self._unwritten:
            text = "\n".join([*self._unwritten, ""])
            self._unwritten.clear()
            self._stream.write(text)
            self._stream.flush()

    def close(self) -> None:
        self.tick()
