"""What a command may show of a run: sinks without a live view, documents, and how durations and text are written."""

from __future__ import annotations

from typing import Any, TextIO

from sqlbuild.app.node_history import NodeHistory
from sqlbuild.app.options import Compiled
from sqlbuild.app.run_history import RunHistory
from sqlbuild.artifacts.dag_json import dag_document as make_dag_document
from sqlbuild.artifacts.dag_json import node_document as make_node_document
from sqlbuild.artifacts.history_json import node_history_document as make_node_history_document
from sqlbuild.artifacts.history_json import runs_document
from sqlbuild.artifacts.run_results_json import result_document, run_results_document
from sqlbuild.domain.graph import Node
from sqlbuild.domain.results import NodeResult, RunResult
from sqlbuild.interfaces.event_sink import EventSink
from sqlbuild.reporting.json_lines import JsonLines
from sqlbuild.reporting.plain_console import PlainConsole
from sqlbuild.reporting.run_lines import RunLines
from sqlbuild.reporting.wording import coloured, plain
from sqlbuild.runner.node_output import captured_logging, captured_output

__all__ = [
    "captured_logging",
    "captured_output",
    "dag_document",
    "json_lines_sink",
    "node_document",
    "node_history_document",
    "node_result_document",
    "plain_sink",
    "run_document",
    "run_history_document",
]

Document = dict[str, Any]


def plain_sink(stream: TextIO, *, colour: bool, verbose: bool, quiet: bool) -> EventSink:
    """One line per finished node."""
    return PlainConsole(stream, RunLines(paint=coloured if colour else plain, verbose=verbose, quiet=quiet))


def json_lines_sink(stream: TextIO) -> EventSink:
    """One JSON object per event."""
    return JsonLines(stream)


def run_document(result: RunResult, compiled: Compiled) -> Document:
    """The same document as target/run_results.json."""
    return run_results_document(result, compiled.graph)


def dag_document(compiled: Compiled) -> Document:
    """The same document as target/sqlbuild_dag.json."""
    document = make_dag_document(compiled.project.settings.name, compiled.graph)
    return compiled.masker.plain(document)  # type: ignore[return-value]


def node_document(node: Node) -> Document:
    """The node as it stands in the DAG document."""
    return make_node_document(node)


def node_result_document(result: NodeResult, compiled: Compiled) -> Document:
    """The result as it stands in target/run_results.json."""
    return result_document(result, compiled.graph)


def run_history_document(found: RunHistory) -> Document:
    """What `sqb history --json` prints."""
    return runs_document(found.target, found.runs, from_warehouse=not found.why_not)


def node_history_document(found: NodeHistory, compiled: Compiled) -> Document:
    """What `sqb history NODE --json` prints."""
    at_work = found.at_work
    return make_node_history_document(
        found.target,
        found.node.id,
        [(past.result, past.why) for past in found.results],
        compiled.graph,
        at_work=None if at_work is None else (at_work.run_id, at_work.attempt, at_work.since),
        from_warehouse=not found.why_not,
    )
