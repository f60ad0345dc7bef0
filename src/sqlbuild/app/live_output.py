"""The live view; apart from run_output because only terminals need the library behind it."""

from __future__ import annotations

from typing import TextIO

from sqlbuild.interfaces.event_sink import EventSink
from sqlbuild.reporting.console import LiveConsole
from sqlbuild.reporting.run_lines import RunLines
from sqlbuild.reporting.wording import coloured, plain


def live_sink(stream: TextIO, *, colour: bool, verbose: bool) -> EventSink:
    """Finished nodes scroll by once, below them a window of what runs."""
    return LiveConsole(stream, RunLines(paint=coloured if colour else plain, verbose=verbose), colour=colour)
