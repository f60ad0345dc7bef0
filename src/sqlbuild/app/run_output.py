"""What a command may show of a run: sinks without a live view, and its document."""

from __future__ import annotations

from typing import Any, TextIO

from sqlbuild.app.options import Compiled
from sqlbuild.artifacts.run_results_json import run_results_document
from sqlbuild.domain.results import RunResult
from sqlbuild.interfaces.event_sink import EventSink
from sqlbuild.reporting.json_lines import JsonLines
from sqlbuild.reporting.plain_console import PlainConsole
from sqlbuild.reporting.run_lines import RunLines
from sqlbuild.reporting.wording import coloured, plain
from sqlbuild.runner.node_output import captured_logging, captured_output

__all__ = [
    "captured_logging",
    "captured_output",
    "json_lines_sink",
    "plain_sink",
    "run_document",
]


def plain_sink(stream: TextIO, *, colour: bool, verbose: bool, quiet: bool) -> EventSink:
    """One line per finished node."""
    return PlainConsole(stream, RunLines(paint=coloured if colour else plain, verbose=verbose, quiet=quiet))


def json_lines_sink(stream: TextIO) -> EventSink:
    """One JSON object per event."""
    return JsonLines(stream)


def run_document(result: RunResult, compiled: Compiled) -> dict[str, Any]:
    """The same document as target/run_results.json."""
    return run_results_document(result, compiled.graph)
