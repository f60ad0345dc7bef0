"""What commands print as JSON of a project and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlbuild.app.options import Compiled
from sqlbuild.artifacts.dag_json import dag_document as make_dag_document
from sqlbuild.artifacts.dag_json import node_document as make_node_document
from sqlbuild.artifacts.history_json import node_history_document as make_node_history_document
from sqlbuild.artifacts.history_json import runs_document
from sqlbuild.artifacts.run_results_json import result_document
from sqlbuild.domain.graph import Node
from sqlbuild.domain.results import NodeResult

if TYPE_CHECKING:
    from sqlbuild.app.node_history import NodeHistory
    from sqlbuild.app.run_history import RunHistory

Document = dict[str, Any]


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
