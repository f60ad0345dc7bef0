"""The live view for terminals: finished nodes scroll by once, below them a window of what runs now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.cells import set_cell_size
from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.segment import Segment
from rich.style import Style as RichStyle

from sqlbuild.domain.events import Event, RunFinished, RunStarted
from sqlbuild.reporting.capacity_use import CapacityUse
from sqlbuild.reporting.run_lines import RunLines
from sqlbuild.reporting.window import Line, window_lines
from sqlbuild.reporting.wording import Style

_STYLES: dict[Style, RichStyle] = {
    "good": RichStyle(color="green"),
    "bad": RichStyle(color="red"),
    "notice": RichStyle(color="yellow"),
    "faint": RichStyle(dim=True),
    "strong": RichStyle(bold=True),
}
_SPARE_ROWS = 2
"""Rows of the terminal that the window leaves free, so that the last finished nodes stay in sight."""


class LiveConsole:
    """Redraws its window on every tick, that is ten times a second, in one write together with the new lines."""

    def __init__(
        self, stream: TextIO, run_lines: RunLines, *, colour: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._run_lines = run_lines
        self._clock = clock
        self._capacity = CapacityUse()
        self._unwritten: list[str] = []
        self._console = Console(file=stream, force_terminal=True, no_color=not colour, markup=False, highlight=False)
        self._unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self._live = Live(
            _Window([]),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def handle(self, event: Event) -> None:
        self._capacity.handle(event)
        self._unwritten += self._run_lines.lines(event)
        if isinstance(event, RunStarted):
            self._live.start()
            # A process that is killed must not leave a terminal without a cursor.
            self._console.show_cursor(True)
        elif isinstance(event, RunFinished):
            self._live.stop()
            self.tick()

    def tick(self) -> None:
        lines = self._unwritten
        self._unwritten = []
        if not self._live.is_started:
            if lines:
                self._stream.write("\n".join([*lines, ""]))
                self._stream.flush()
            return
        with self._console:
            if lines:
                self._console.print(_Written("\n".join([*lines, ""])), end="", crop=False, soft_wrap=True)
            self._live.update(self._window(), refresh=True)

    def close(self) -> None:
        self._live.stop()
        self.tick()

    def _window(self) -> _Window:
        size = self._console.size
        return _Window(
            window_lines(
                self._run_lines.progress,
                self._capacity,
                now=self._clock(),
                height=size.height - _SPARE_ROWS,
                width=size.width - 1,
                unicode=self._unicode,
            )
        )


class _Window:
    """Lines cut to the terminal's width, because a line that wraps would leave its rest behind at the next redraw."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        width = max(options.max_width - 1, 1)
        for index, (text, style) in enumerate(self._lines):
            if index:
                yield Segment.line()
            yield Segment(set_cell_size(text, width).rstrip(), _STYLES[style] if style else None)


class _Written:
    """Text that is written as it stands, escape codes included."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield Segment(self._text)
