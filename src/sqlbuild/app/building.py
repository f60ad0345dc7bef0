"""`sqb build`, from the open warehouse to the last file that is written."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import anyio
import anyio.to_thread

from sqlbuild.app.deferral import deferred
from sqlbuild.app.event_loop import cancel_tasks_left_behind, run_async
from sqlbuild.app.export_places import export_places
from sqlbuild.app.held_interrupts import HeldInterrupts, held_interrupts
from sqlbuild.app.history_sources import TESTS_FOLDER
from sqlbuild.app.leftovers import remove_leftovers, told_leftovers
from sqlbuild.app.observed_sources import with_observed
from sqlbuild.app.options import Compiled, RunOptions
from sqlbuild.app.resuming import (
    find_again,
    fingerprints,
    look_after_lost_runs,
    order_of_resumed,
    plan_of_run,
    request_of,
)
from sqlbuild.app.run_folders import prune_runs
from sqlbuild.app.run_needs import needs_of
from sqlbuild.app.run_to_its_end import run_to_its_end
from sqlbuild.app.source_freshness import news_in, observe_for, told_of
from sqlbuild.app.target_access import Patience, TargetAccess
from sqlbuild.app.target_folder import state_json, target_folder
from sqlbuild.app.unit_tests import with_time_limit
from sqlbuild.app.wiring import (
    make_access,
    make_comparing,
    make_copying,
    make_deltas,
    make_empty_warehouse,
    make_functions,
    make_loading,
    make_providers,
    make_services,
    make_staging,
    make_store,
    make_warehouse,
    run_plan,
    write_junit,
)
from sqlbuild.artifacts.run_results_json import streamed_run_results
from sqlbuild.artifacts.write_json import write_json
from sqlbuild.domain.events import RunNote, RunWarning
from sqlbuild.domain.ids import NodeKind, Relation
from sqlbuild.domain.incremental import NO_REFRESH, Refresh
from sqlbuild.domain.kept_sql import sql_to_keep
from sqlbuild.domain.nodes import PythonNode
from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.record import record
from sqlbuild.domain.results import RunResult
from sqlbuild.domain.run_ids import run_id_at
from sqlbuild.domain.selection import Selected, Selection
from sqlbuild.errors import EngineError, ProjectError, WarehouseError, WarehouseUnreachable
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.event_sink import EventSink
from sqlbuild.interfaces.providers import ProviderSet
from sqlbuild.interfaces.state_store import Journal, StateStore
from sqlbuild.interfaces.warehouse import Warehouse
from sqlbuild.planner.build_plan import build_plan
from sqlbuild.reporting.dispatcher import EventDispatcher
from sqlbuild.runner.rates import Rate
from sqlbuild.runner.run_order import RunOrder
from sqlbuild.selector.select_nodes import select_nodes
from sqlbuild.state.in_memory import InMemoryJournal, InMemoryStateStore, ReadOnlyStateStore
from sqlbuild.state.journal import FileJournal
from sqlbuild.state.node_logs import LOGS_FOLDER, NodeLogFiles
from sqlbuild.state.past_file import read_past, write_past
from sqlbuild.state.warehouse_tables import COMMITS_TABLE

LEAVE_SECONDS = 0.3
"""Time for the last lines of logs to be written when the process is left at once."""
LEFT_BEHIND_SECONDS = 1.0
"""Time for tasks that nodes have left behind to end when they are cancelled."""


def build(compiled: Compiled, selection: Selection, options: RunOptions, sinks: Sequence[EventSink]) -> RunResult:
    """Run a selection to its end; writes results, target/run_results.json and target/state.json."""
    compiled = with_time_limit(compiled, options.test_timeout)
    dispatcher = EventDispatcher(sinks, compiled.masker)

    def leave_now(exit_code: int) -> None:
        if not options.embedded:
            dispatcher.close(0.5)
            os._exit(exit_code)

    patience: float | None = 2.0
    try:
        result: RunResult = run_async(
            _build_alone, compiled, selection, options, dispatcher, leave_now, backend=options.backend
        )
        if result.stopped_by in (None, "fail-fast"):
            # A slow reader, such as a pager, gets the whole output; only who stops a run does not wait for one.
            patience = None
    finally:
        dispatcher.close(patience)
    return result


async def build_here(
    compiled: Compiled, selection: Selection, options: RunOptions, sinks: Sequence[EventSink]
) -> RunResult:
    """As `build`, on the event loop that runs already. When it is cancelled, the run is stopped as by Ctrl-C first."""
    dispatcher = EventDispatcher(sinks, compiled.masker)
    patience: float | None = 2.0
    try:
        result = await _build(compiled, selection, options, dispatcher, lambda _exit_code: None)
        patience = None
    finally:
        with anyio.CancelScope(shield=True):
            # On a thread: a sink may itself wait for something that this event loop must do.
            await anyio.to_thread.run_sync(dispatcher.close, patience)
    return result


def plan_from(compiled: Compiled, selection: Selection, past: Past, refresh: Refresh = NO_REFRESH) -> Plan:
    if selection.load is None:
        selection = dataclasses.replace(selection, load=compiled.project.settings.run.auto_load_sources)
    if selection.defer_to is not None:
        compiled = deferred(compiled, selection, past)
    selected: Selected = select_nodes(compiled.graph, past, selection)
    return build_plan(compiled.graph, selected, past, target=compiled.project.settings.target.name, refresh=refresh)


async def _build_alone(
    compiled: Compiled,
    selection: Selection,
    options: RunOptions,
    events: EventDispatcher,
    leave_now: Callable[[int], None],
) -> RunResult:
    """Build, and end the process where a task that a node has left behind would keep the event loop from closing."""
    result = await _build(compiled, selection, options, events, leave_now)
    running = await cancel_tasks_left_behind(LEFT_BEHIND_SECONDS)
    if running:
        events.publish(
            RunWarning(_now(), f"{running} asyncio task(s) that nodes have started do not end when cancelled")
        )
        leave_now(result.exit_code if result.exit_code > 1 else EngineError.exit_code)
    return result


async def _build(
    compiled: Compiled,
    selection: Selection,
    options: RunOptions,
    events: EventDispatcher,
    leave_now: Callable[[int], None],
) -> RunResult:
    if selection.tests_alone:
        return await _test(compiled, selection, options, events, leave_now)
    project, graph = compiled.project, compiled.graph
    folder = "" if options.dry_run else target_folder(project.root)
    patience = Patience(seconds=options.lock_timeout, publish=events.publish)
    access = make_access(project.settings, options.command, patience)
    try:
        if options.dry_run:
            await access.wait_until_readable()
        else:
            await access.lock_for_writing()
        warehouse = make_warehouse(project.settings, project.root)
        if options.dry_run and not warehouse.exists():
            warehouse = make_empty_warehouse(project.settings, project.root)
        # A database that is new, or only in memory, has nothing of the runs before.
        is_new = not warehouse.exists()
        await access.open(warehouse, read_only=options.dry_run)
        store = make_store(warehouse, project.settings)
        if options.dry_run:
            store = ReadOnlyStateStore(store)
        with _writing_to(project.settings.target.name):
            if not options.dry_run and not is_new:
                await look_after_lost_runs(project.root, project.settings.target.name, store, events.publish, _now())
            past = await store.past()
        if not is_new and not options.dry_run:
            goes_on = None if options.resume is None else options.resume.run_id
            removed = await remove_leftovers(
                project.root, project.settings, warehouse, past.relations, goes_on_with=goes_on
            )
            if removed:
                events.publish(RunNote(_now(), told_leftovers(removed)))
        observed = await observe_for(compiled, selection, past, warehouse)
        compiled = dataclasses.replace(compiled, graph=with_observed(compiled.graph, past, observed))
        past = dataclasses.replace(past, source_versions={**past.source_versions, **news_in(observed)})
        for text in told_of(observed):
            events.publish(RunNote(_now(), text))
        if options.resume is not None:
            options = dataclasses.replace(options, resume=find_again(project.root, options.resume))
            assert options.resume is not None
            there = compiled if selection.defer_to is None else deferred(compiled, selection, past)
            plan = plan_of_run(there, past, options.resume, force=options.force)
        else:
            plan = plan_from(compiled, selection, past, options.refresh)
        for text in (*(problem.message for problem in graph.warnings), *plan.warnings):
            events.publish(RunWarning(_now(), text))
        used = _providers_of(plan, called_only=options.dry_run)
        providers = make_providers(project.providers, used, compiled.masker.add)
        if not options.dry_run:
            with _writing_to(project.settings.target.name):
                await warehouse.create_schemas(sorted(_schemas(compiled)))
                for note in await store.begin():
                    events.publish(RunNote(_now(), note))
                if not (selection.audits_alone or selection.checks_alone):
                    await store.keep_source_versions(news_in(observed))
                await store.keep_sql(sql_to_keep((step.node for step in plan.steps.values()), compiled.masker))
            failpoint("run.prepared")
            resumed = None if options.resume is None else options.resume.run_id
            prune_runs(os.path.join(folder, "runs"), project.settings.run.keep_runs, resumed)
        prepared = _Prepared(
            compiled=compiled,
            options=options,
            selection=selection,
            plan=plan,
            past=past,
            warehouse=warehouse,
            store=store,
            providers=providers,
            events=events,
            leave_now=leave_now,
            access=access,
        )
        # A build from Python has no other way to hear of Ctrl-C than that its caller is cancelled.
        with contextlib.nullcontext(HeldInterrupts()) if options.embedded else held_interrupts() as held:
            return await run_to_its_end(functools.partial(_run, prepared), already_asked=lambda: held.heard)
    finally:
        await access.close()


async def _test(
    compiled: Compiled,
    selection: Selection,
    options: RunOptions,
    events: EventDispatcher,
    leave_now: Callable[[int], None],
) -> RunResult:
    """Unit tests alone: nothing of the target is read or written, nor is it locked."""
    settings, root = compiled.project.settings, compiled.project.root
    folder = os.path.join(target_folder(root), TESTS_FOLDER)
    past, _ = read_past(state_json(root), settings.target.name)
    plan = plan_from(compiled, selection, past)
    for problem in compiled.graph.warnings:
        events.publish(RunWarning(_now(), problem.message))
    patience = Patience(seconds=options.lock_timeout, publish=events.publish)
    access = TargetAccess(None, target=settings.target.name, command=options.command, patience=patience)
    is_server = settings.target.connection.adapter == "postgres"
    warehouse = make_warehouse(settings, root) if is_server else make_empty_warehouse(settings, root)
    try:
        await access.open(warehouse, read_only=is_server)
        os.makedirs(folder, exist_ok=True)
        prune_runs(folder, settings.run.keep_runs, None)
        prepared = _Prepared(
            compiled=compiled,
            options=options,
            selection=selection,
            plan=plan,
            past=past,
            warehouse=warehouse,
            store=InMemoryStateStore(),
            providers=None,
            runs=TESTS_FOLDER,
            events=events,
            leave_now=leave_now,
            access=access,
        )
        with contextlib.nullcontext(HeldInterrupts()) if options.embedded else held_interrupts() as held:
            return await run_to_its_end(functools.partial(_run, prepared), already_asked=lambda: held.heard)
    finally:
        await access.close()


@contextlib.contextmanager
def _writing_to(target: str) -> Iterator[None]:
    """What goes wrong before any node starts is wrong with the target, such as a user who may only read."""
    try:
        yield
    except WarehouseError as error:
        text = str(error.args[0])
        only_reads = "connect to a server that can be written to, as a user who may" if "read-only" in text else ""
        raise WarehouseUnreachable(f"target {target} cannot be built: {text}", help=error.help or only_reads) from error


def _providers_of(plan: Plan, *, called_only: bool) -> Iterable[str]:
    """`called_only`: only what a dry run needs."""
    for step in plan.steps.values():
        declaration = step.node.declaration
        if not called_only or (isinstance(declaration, PythonNode) and declaration.declared.dry_run):
            yield from step.node.providers


@record(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A run that may begin: its target is open for writing and its state tables are there."""

    compiled: Compiled
    options: RunOptions
    selection: Selection
    plan: Plan
    past: Past
    warehouse: Warehouse
    store: StateStore
    providers: ProviderSet | None
    runs: str = "runs"
    """The folder of target/ with the journals of such runs."""
    events: EventDispatcher
    leave_now: Callable[[int], None]
    access: TargetAccess


async def _run(run: _Prepared, stop_asked: Callable[[], Awaitable[object]]) -> RunResult:
    """From the first record in the journal to the last file: what has begun is written to its end."""
    compiled = run.compiled
    resume = run.options.resume
    run_id = (resume.run_id if resume is not None else None) or new_run_id()
    if run.options.dry_run:
        folder = None
        journal: Journal = InMemoryJournal(run_id=run_id, target=run.plan.target)
    else:
        await run.access.tell_run(run_id)
        folder = os.path.join(target_folder(compiled.project.root), run.runs, run_id)
        journal = _journal(run, run_id, folder)
    logs = NodeLogFiles(
        None if folder is None else os.path.join(folder, LOGS_FOLDER),
        f"target/{run.runs}/{run_id}/{LOGS_FOLDER}",
        show=run.events.publish_log,
        warn=lambda text: run.events.publish(RunWarning(_now(), text)),
        masker=compiled.masker,
    )
    try:

        def leave_now(exit_code: int) -> None:
            logs.close_within(LEAVE_SECONDS)
            run.leave_now(exit_code)

        def abandon(result: RunResult) -> None:
            try:
                _write_artifacts(compiled, result, run.past)
            finally:
                leave_now(result.exit_code)

        settings, needs = compiled.project.settings, needs_of(run.plan)
        services = make_services(
            warehouse=run.warehouse,
            store=run.store,
            journal=journal,
            publish=run.events.publish,
            logs=logs,
            loading=make_loading(settings) if needs.loading else None,
            deltas=make_deltas(settings) if needs.deltas else None,
            copying=make_copying(settings) if needs.copying else None,
            comparing=make_comparing(settings) if needs.comparing else None,
            staging=make_staging(settings) if needs.staging else None,
            functions=make_functions(settings) if needs.functions else None,
            leave_now=leave_now,
            abandon=abandon,
            stop_asked=stop_asked,
            target_lost=run.access.lost,
            providers=run.providers,
            # A provider that is made later may bring the first secret.
            masker=compiled.masker if compiled.masker or run.providers is not None else None,
        )
        order = order_of(compiled, run.options, run_id)
        if resume is not None:
            order = order_of_resumed(order, run.plan, resume)
        result = await run_plan(run.plan, order, services)
    finally:
        logs.close()
        journal.close()
    failpoint("run.closed")
    _write_artifacts(compiled, result, run.past)
    if run.options.junit is not None:
        write_junit(run.options.junit, compiled.project.settings.name, result, compiled.graph)
    failpoint("run.described")
    return result


def _journal(run: _Prepared, run_id: str, folder: str) -> FileJournal:
    fsync = run.compiled.project.settings.run.fsync
    planned = fingerprints(run.plan)
    if run.options.resume is not None:
        journal = FileJournal.reopen(folder, fsync=fsync)
        journal.resumed(run_id, planned)
        return journal
    request = request_of(run.selection, run.options, run.compiled.masker)
    return FileJournal(folder, run_id=run_id, target=run.plan.target, fsync=fsync, request=request, planned=planned)


def _write_artifacts(compiled: Compiled, result: RunResult, past: Past) -> None:
    """Raises EngineError: the nodes have run by now, so a file that cannot be written is no project error."""
    if result.dry_run:
        return
    try:
        folder = target_folder(compiled.project.root)
        write_past(state_json(compiled.project.root), past.after(result, compiled.graph), result)
        write_json(os.path.join(folder, "run_results.json"), streamed_run_results(result, compiled.graph))
    except ProjectError as error:
        raise EngineError(f"the run ended, but its results could not be written: {error}") from error


def order_of(compiled: Compiled, options: RunOptions, run_id: str) -> RunOrder:
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
        rates={
            name: Rate(per_second=pool.rate, burst=pool.burst)
            for name, pool in settings.pools.items()
            if pool.rate is not None
        },
        vars=settings.vars,
        max_payload_bytes=settings.run.max_payload_bytes,
        fail_fast=options.fail_fast,
        blocked_loop_seconds=settings.run.blocked_loop_seconds,
        strict_async=options.strict_async,
        grace=options.grace,
        handle_signals=not options.embedded,
        dry_run=options.dry_run,
        is_reload=options.reload,
        commits=Relation(settings.target.database, settings.target.schema, COMMITS_TABLE),
        exports=export_places(compiled.project.root, settings, run_id),
    )


def _schemas(compiled: Compiled) -> set[str]:
    schemas = {compiled.project.settings.target.schema}
    return schemas | {
        node.relation.schema
        for node in compiled.graph.nodes.values()
        if node.kind in (NodeKind.MODEL, NodeKind.FUNCTION, NodeKind.SEED, NodeKind.LOADER) and node.relation
    }


def new_run_id() -> str:
    return run_id_at(datetime.datetime.now(datetime.UTC), secrets.token_hex(2))


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()
