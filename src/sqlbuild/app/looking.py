"""What is told of a project without opening its warehouse: from its files, target/state.json and the journals."""

from __future__ import annotations

import os

from sqlbuild.app.live_runs import LiveRun, known_of, live_run_of
from sqlbuild.app.node_logs import NodeLogReport, find_logs, log_messages, with_logs
from sqlbuild.app.one_node import one_node
from sqlbuild.app.options import Compiled
from sqlbuild.app.target_folder import target_folder
from sqlbuild.artifacts.dag_json import dag_document
from sqlbuild.artifacts.write_json import write_json
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.past import PastNode
from sqlbuild.domain.plans import Reason
from sqlbuild.domain.record import record
from sqlbuild.domain.results import NodeResult
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.planner.explain import explain
from sqlbuild.selector.select_nodes import select_only

__all__ = [
    "LiveRun",
    "NodeLogReport",
    "NodeReport",
    "live_run_of",
    "log_messages",
    "select",
    "show",
    "show_logs",
    "write_dag",
]


@record(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node as declared, with its history; `as_of` is the last run that the history knows, `live` if it goes on."""

    node: Node
    past: PastNode | None
    results: tuple[NodeResult, ...]
    as_of: str | None
    live: LiveRun | None = None
    reason: Reason
    why: str


def select(compiled: Compiled, selection: Selection) -> tuple[NodeId, ...]:
    """What a selection contains, in topological order; history comes from target/state.json."""
    chosen = select_only(compiled.graph, known_of(compiled).past, selection)
    if not chosen and compiled.graph.nodes and not selection.allow_empty:
        raise SelectionError("the selection is empty", help="give --allow-empty if that is no error")
    return tuple(node for node in compiled.graph.nodes if node in chosen)


def show(compiled: Compiled, name: str) -> NodeReport:
    """One node by name or `kind:name`. Raises SelectionError for an unknown one."""
    known = known_of(compiled)
    node = one_node(compiled, known.past, name)
    reason, why = explain(node, known.past, newer=known.past.newer_upstream(node, compiled.graph))
    return NodeReport(
        node=node,
        past=known.past.nodes.get(node.id),
        results=with_logs(compiled, known.results.get(node.id, ())),
        as_of=known.past.last_run_id,
        live=known.live,
        reason=reason,
        why=why,
    )


def show_logs(compiled: Compiled, name: str, *, run_id: str | None, attempt: int | None) -> NodeLogReport:
    """The logs of one node, by name or `kind:name`. Raises SelectionError for an unknown node or run."""
    known = known_of(compiled)
    node = one_node(compiled, known.past, name)
    return find_logs(compiled, node, known.results.get(node.id, ()), run_id=run_id, attempt=attempt)


def write_dag(compiled: Compiled, path: str | None) -> str:
    """Write the DAG document to `path`, else to target/sqlbuild_dag.json; returns where it went."""
    if path is None:
        path = os.path.join(target_folder(compiled.project.root), "sqlbuild_dag.json")
    document = dag_document(compiled.project.settings.name, compiled.graph)
    write_json(path, compiled.masker.plain(document))  # type: ignore[arg-type]
    return path
