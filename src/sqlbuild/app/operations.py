"""What commands do, each as one function over the phases; cli/ and web/ only call these."""

from __future__ import annotations

import dataclasses
import datetime
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio

from sqlbuild.app.cleaning import CleanReport, clean, prune_runs
from sqlbuild.app.options import Backend, Compiled, ProjectOptions, RunOptions
from sqlbuild.app.querying import QueryResult, query, query_to_file
from sqlbuild.app.wiring import (
    cancel_tasks_left_behind,
    make_services,
    make_store,
    make_warehouse,
    run_async,
    state_json,
    target_folder,
)
from sqlbuild.artifacts.dag_json import dag_document
from sqlbuild.artifacts.run_results_json import run_results_document
from sqlbuild.artifacts.write_json import write_json
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.events import Event, RunWarning
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.plans import Plan, Reason
from sqlbuild.domain.results import NodeResult, RunResult
from sqlbuild.domain.selection import Selected, Selection
from sqlbuild.errors import EngineError, ProjectError, SelectionError, TargetLocked
from sqlbuild.interfaces.event_sink import EventSink
from sqlbuild.interfaces.warehouse import Warehouse
from sqlbuild.planner.build_plan import build_plan
from sqlbuild.planner.explain import explain
from sqlbuild.project.load_project import load_project
from sqlbuild.reporting.dispatcher import EventDispatcher
from sqlbuild.runner.execute_plan import execute_plan
from sqlbuild.runner.run_order import RunOrder
from sqlbuild.selector.select_nodes import select_nodes, select_only
from sqlbuild.state.analysis_cache import FileAnalysisCache
from sqlbuild.state.journal import FileJournal
from sqlbuild.state.past_file import read_past, write_past

LOCK_RETRY_SECONDS = 0.1
LEFT_BEHIND_SECONDS = 1.0
"""Time for tasks that nodes have left behind to end when they are cancelled."""

__all__ = [
    "Backend",
    "CleanReport",
    "Compiled",
    "NodeReport",
    "ProjectOptions",
    "QueryResult",
    "RunOptions",
    "build",
    "clean",
    "open_project",
    "plan",
    "query",
    "query_to_file",
    "select",
    "show",
    "write_dag",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node as declared, with its history; `as_of` is the last run that the history knows."""

    node: Node
    past: PastNode | None
    results: tuple[NodeResult, ...]
    as_of: str | None
    reason: Reason
    why: str


def open_project(options: ProjectOptions) -> Compiled:
    """Read and compile a project; needs no warehouse. Raises ProjectError with every problem found."""
    project = load_project(options.root, target=options.target, vars=options.vars, environ=options.environ)
    cache = FileAnalysisCache(Path(options.root, "target", "sql_analysis.json"))
    try:
        graph = compile_project(project, cache)
    finally:
        # Also after an error: the next compile should not analyse again what is right.
        cache.flush()
    return Compiled(project=project, graph=graph)


def select(compiled: Compiled, selection: Selection) -> tuple[NodeId, ...]:
    """What a selection contains, in topological order; history comes from target/state.json."""
    past, _ = _known_past(compiled)
    chosen = select_only(compiled.graph, past, selection)
    if not chosen and compiled.graph.nodes and not selection.allow_empty:
        raise SelectionError("the selection is empty", help="give --allow-empty if that is no error")
    return tuple(node for node in compiled.graph.nodes if node in chosen)


def plan(compiled: Compiled, selection: Selection, options: RunOptions) -> Plan:
    """What a build would do. Reads the warehouse and changes nothing."""
    return run_async(_plan, compiled, selection, backend=options.backend)  # type: ignore[no-any-return]


def build(compiled: Compiled, selection: Selection, options: RunOptions, sinks: Sequence[EventSink]) -> RunResult:
    """Run a selection to its end; writes results, target/run_results.json and target/state.json."""
    dispatcher = EventDispatcher(sinks)

    def leave_now(exit_code: int) -> None:
        dispatcher.close(0.5)
        os._exit(exit_code)

    patience: float | None = 2.0
    try:
        result: RunResult = run_async(
            _build_alone, compiled, selection, options, dispatcher.publish, leave_now, backend=options.backend
        )
        if result.stopped_by in (None, "fail-fast"):
            # A slow reader, such as a pager, gets the whole output; only who stops a run does not wait for one.
            patience = None
    finally:
        dispatcher.close(patience)
    return result


def show(compiled: Compiled, name: str) -> NodeReport:
    """One node by name or `kind:name`. Raises SelectionError for an unknown one."""
    past, results = _known_past(compiled)
    found = select_only(compiled.graph, past, Selection(select=(name,)))
    if len(found) != 1:
        raise SelectionError(f"{name!r} names {len(found)} nodes", help="give the name of one node")
    node = compiled.graph.nodes[next(iter(found))]
    reason, why = explain(node, past)
    return NodeReport(
        node=node,
        past=past.nodes.get(node.id),
        results=results.get(node.id, ()),
        as_of=past.last_run_id,
        reason=reason,
        why=why,
    )


def write_dag(compiled: Compiled, path: str | None) -> str:
    """Write the DAG document to `path`, else to target/sqlbuild_dag.json; returns where it went."""
    if path is None:
        path = os.path.join(target_folder(compiled.project.root), "sqlbuild_dag.json")
    write_json(path, dag_document(compiled.project.settings.name, compiled.graph))
    return path


def _known_past(compiled: Compiled) -> tuple[Past, Mapping[NodeId, tuple[NodeResult, ...]]]:
    return read_past(state_json(compiled.project.root), compiled.project.settings.target.name)


async def _plan(compiled: Compiled, selection: Selection) -> Plan:
    warehouse = make_warehouse(compiled.project.settings, compiled.project.root)
    if not warehouse.exists():
        return _plan_from(compiled, selection, Past())
    await warehouse.open(read_only=True)
    try:
        return _plan_from(compiled, selection, await make_store(warehouse, compiled.project.settings).past())
    finally:
        await _close(warehouse)


def _plan_from(compiled: Compiled, selection: Selection, past: Past) -> Plan:
    selected: Selected = select_nodes(compiled.graph, past, selection)
    return build_plan(compiled.graph, selected, past, target=compiled.project.settings.target.name)


async def _build_alone(
    compiled: Compiled,
    selection: Selection,
    options: RunOptions,
    publish: Callable[[Event], None],
    leave_now: Callable[[int], None],
) -> RunResult:
    """Build, and end the process where a task that a node has left behind would keep the event loop from closing."""
    result = await _build(compiled, selection, options, publish, leave_now)
    running = await cancel_tasks_left_behind(LEFT_BEHIND_SECONDS)
    if running:
        publish(RunWarning(_now(), f"{running} asyncio task(s) that nodes have started do not end when cancelled"))
        leave_now(result.exit_code if result.exit_code > 1 else EngineError.exit_code)
    return result


async def _build(
    compiled: Compiled,
    selection: Selection,
    options: RunOptions,
    publish: Callable[[Event], None],
    leave_now: Callable[[int], None],
) -> RunResult:
    project, graph = compiled.project, compiled.graph
    folder = target_folder(project.root)
    warehouse = make_warehouse(project.settings, project.root)
    await _open_when_free(warehouse, options.lock_timeout, publish)
    try:
        store = make_store(warehouse, project.settings)
        past = await store.past()
        plan = _plan_from(compiled, selection, past)
        for text in (*(problem.message for problem in graph.warnings), *plan.warnings, *_unapplied_rates(compiled)):
            publish(RunWarning(_now(), text))
        await warehouse.create_schemas(sorted(_schemas(compiled)))
        await store.begin()
        prune_runs(os.path.join(folder, "runs"), project.settings.run.keep_runs)
        run_id = new_run_id()
        journal = FileJournal(
            os.path.join(folder, "runs", run_id),
            run_id=run_id,
            target=plan.target,
            fsync=project.settings.run.fsync,
        )
        try:

            def abandon(result: RunResult) -> None:
                try:
                    _write_artifacts(compiled, result, past, folder)
                finally:
                    leave_now(result.exit_code)

            services = make_services(
                warehouse=warehouse,
                store=store,
                journal=journal,
                publish=publish,
                leave_now=leave_now,
                abandon=abandon,
            )
            result = await execute_plan(plan, _order(compiled, options, run_id), services)
        finally:
            journal.close()
        _write_artifacts(compiled, result, past, folder)
        return result
    finally:
        await _close(warehouse)


def _write_artifacts(compiled: Compiled, result: RunResult, past: Past, folder: str) -> None:
    """Raises EngineError: the nodes have run by now, so a file that cannot be written is no project error."""
    try:
        write_past(state_json(compiled.project.root), past.after(result, compiled.graph), result)
        write_json(os.path.join(folder, "run_results.json"), run_results_document(result, compiled.graph))
    except ProjectError as error:
        raise EngineError(f"the run ended, but its results could not be written: {error}") from error


async def _open_when_free(warehouse: Warehouse, lock_timeout: float, publish: Callable[[Event], None]) -> None:
    """Open for writing; while another process holds the target, wait up to `lock_timeout` seconds. Raises TargetLocked."""
    told = False
    give_up_at = anyio.current_time() + lock_timeout
    while True:
        try:
            await warehouse.open()
            return
        except TargetLocked as error:
            if anyio.current_time() >= give_up_at:
                raise
            if not told:
                publish(RunWarning(_now(), f"waiting up to {lock_timeout:g} s: {error}"))
                told = True
        await anyio.sleep(LOCK_RETRY_SECONDS)


def _unapplied_rates(compiled: Compiled) -> list[str]:
    """What the settings ask for and this version does not do is said at every run."""
    return [
        f"pool {pool.name}: rate is not applied yet, only its {pool.slots} slots are"
        for pool in compiled.project.settings.pools.values()
        if pool.rate is not None
    ]


async def _close(warehouse: Warehouse) -> None:
    with anyio.CancelScope(shield=True):
        await warehouse.close()


def _order(compiled: Compiled, options: RunOptions, run_id: str) -> RunOrder:
    settings = compiled.project.settings
    return RunOrder(
        run_id=run_id,
        root=compiled.project.root,
        limits={
            "concurrency": options.concurrency or settings.run.concurrency,
            "threads": options.threads or settings.run.threads,
            "connections": options.connections or settings.run.connections,
        },
        pools={name: pool.slots for name, pool in settings.pools.items()},
        vars=settings.vars,
        max_payload_bytes=settings.run.max_payload_bytes,
        fail_fast=options.fail_fast,
        grace=options.grace,
        handle_signals=True,
    )


def _schemas(compiled: Compiled) -> set[str]:
    schemas = {compiled.project.settings.target.schema}
    return schemas | {
        node.relation.schema for node in compiled.graph.nodes.values() if node.kind == "model" and node.relation
    }


def new_run_id() -> str:
    """Sorts by time: UTC seconds, then six random hex digits."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ-") + secrets.token_hex(3)


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()
