"""What commands do, each as one function over the phases; cli/ and web/ only call these."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from sqlbuild.app.building import build, build_here, plan_from
from sqlbuild.app.cleaning import CleanReport, Losses, clean, losses_of_clean
from sqlbuild.app.live_runs import LiveRun, known_of, live_run_of
from sqlbuild.app.node_logs import NodeLogReport, find_logs, log_messages, with_logs
from sqlbuild.app.observed_sources import with_observed
from sqlbuild.app.one_node import one_node
from sqlbuild.app.opening import close_project, open_project
from sqlbuild.app.options import Backend, Compiled, ProjectOptions, RunOptions
from sqlbuild.app.querying import QueryResult, query, query_to_file
from sqlbuild.app.source_freshness import observe_for, told_of
from sqlbuild.app.sql_diffs import SqlDiff, sql_diff
from sqlbuild.app.target_access import Patience
from sqlbuild.app.target_folder import target_folder
from sqlbuild.app.unit_tests import selected_tests
from sqlbuild.app.wiring import (
    make_access,
    make_deltas,
    make_store,
    make_warehouse,
    run_async,
)
from sqlbuild.artifacts.dag_json import dag_document
from sqlbuild.artifacts.write_json import write_json
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.incremental import NO_REFRESH, Refresh
from sqlbuild.domain.kept_sql import keys_of_last_success
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.plans import Plan, Reason
from sqlbuild.domain.record import record
from sqlbuild.domain.results import NodeResult
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.planner.explain import explain
from sqlbuild.runner.kinds.foreseen_windows import with_windows
from sqlbuild.selector.select_nodes import select_only

__all__ = [
    "Backend",
    "CleanReport",
    "Compiled",
    "LiveRun",
    "Losses",
    "NodeLogReport",
    "NodeReport",
    "Patience",
    "ProjectOptions",
    "QueryResult",
    "RunOptions",
    "SqlDiff",
    "build",
    "build_here",
    "clean",
    "close_project",
    "live_run_of",
    "log_messages",
    "losses_of_clean",
    "open_project",
    "plan",
    "plan_with_diffs",
    "query",
    "query_to_file",
    "select",
    "selected_tests",
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


def plan(compiled: Compiled, selection: Selection, patience: Patience, refresh: Refresh = NO_REFRESH) -> Plan:
    """What a build would do. Reads the warehouse and changes nothing."""
    return run_async(_plan, compiled, selection, patience, refresh, backend="asyncio")[0]  # type: ignore[no-any-return]


def plan_with_diffs(
    compiled: Compiled, selection: Selection, patience: Patience, refresh: Refresh = NO_REFRESH
) -> tuple[Plan, Mapping[NodeId, SqlDiff]]:
    """As `plan`, with what has changed in the SQL of models."""
    return run_async(_plan, compiled, selection, patience, refresh, backend="asyncio")  # type: ignore[no-any-return]


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


async def _plan(
    compiled: Compiled, selection: Selection, patience: Patience, refresh: Refresh
) -> tuple[Plan, Mapping[NodeId, SqlDiff]]:
    settings = compiled.project.settings
    access = make_access(settings, "sqb plan", patience)
    try:
        await access.wait_until_readable()
        warehouse = make_warehouse(settings, compiled.project.root)
        if not warehouse.exists():
            return await with_windows(plan_from(compiled, selection, Past(), refresh)), {}
        await access.open(warehouse, read_only=True)
        store = make_store(warehouse, settings)
        past = await store.past()
        observed = await observe_for(compiled, selection, past, warehouse)
        compiled = dataclasses.replace(compiled, graph=with_observed(compiled.graph, past, observed))
        made = await with_windows(plan_from(compiled, selection, past, refresh), warehouse, make_deltas(settings))
        made = dataclasses.replace(made, news=tuple(told_of(observed)))
        nodes = [step.node for step in made.steps.values()]
        keys = keys_of_last_success(nodes, past)
        kept = await store.sql_of(keys.values())
        return made, {node: sql_diff(compiled.graph.nodes[node], kept.get(key), past) for node, key in keys.items()}
    finally:
        await access.close()
