"""Runs one node without a project, by the very parts that run it in one."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MappingProxyType, TracebackType
from typing import Any

import anyio
import anyio.lowlevel

from sqlbuild.app.building import order_of
from sqlbuild.app.event_loop import SystemClock, run_async
from sqlbuild.app.options import Backend, RunOptions
from sqlbuild.app.python_arguments import check_argument_types
from sqlbuild.app.run_output import captured_logging, captured_output
from sqlbuild.app.wiring import make_copying, make_loading
from sqlbuild.authoring.functions import layers_of
from sqlbuild.domain.check_results import message_of, verdict_of
from sqlbuild.domain.events import Event, NodeLogged, NodeProgress
from sqlbuild.domain.ids import NodeKind, Relation, node_id
from sqlbuild.domain.nodes import PythonNode, kind_of_declaration
from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import SUCCESSES, NodeOutcome, NodeResult, NodeValue, SkipMode, Status, Verdict
from sqlbuild.domain.selection import Selected
from sqlbuild.domain.settings import Pool
from sqlbuild.executors.local import ThreadLane
from sqlbuild.interfaces.clock import Clock
from sqlbuild.planner.build_plan import build_plan
from sqlbuild.refs import Reference
from sqlbuild.runner.execute_plan import execute_plan
from sqlbuild.runner.exporting.paths import ExportPlaces
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.state.duckdb_statements import DUCKDB_STATEMENTS
from sqlbuild.state.in_memory import InMemoryJournal, InMemoryStateStore
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.state.warehouse_tables import WarehouseStateStore
from sqlbuild.testing.given_providers import GivenProviders
from sqlbuild.testing.in_memory import InMemoryWarehouse, Rows
from sqlbuild.testing.one_node_project import SCHEMA, TARGET, compile_one_node, declaration_to_test, id_of
from sqlbuild.testing.virtual_clock import VirtualClock

RUN_ID = "test"
NodeFunction = Callable[..., object]

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """What one run of a node gave. `payload` and `metadata` are what a dependent would read: stored and read again."""

    status: Status
    payload: Any
    metadata: Any
    materialized: bool | None
    skip_reason: str | None
    skip_mode: SkipMode | None
    verdict: Verdict | None
    """What a check found; None for other nodes, and if it raised or was skipped."""
    message: str | None
    """What a check said with it."""
    rows: tuple[dict[str, Any], ...] | None
    """Of a loader that succeeded: all that its table holds then."""
    error: BaseException | None
    """What the last attempt raised, if it did."""
    errors: tuple[BaseException, ...]
    """What every attempt raised that failed, in their order."""
    attempts: int
    warnings: tuple[str, ...]
    checkpoints: Mapping[str, Any]
    """What `ctx.checkpoint` has kept, with what was given."""
    logs: tuple[NodeLogged, ...]
    """What the node logged and printed: `.message`, `.level` ("print" and "stderr" for what it printed), `.fields`."""
    progress: tuple[NodeProgress, ...]
    statements: tuple[str, ...]
    """The SQL that was sent, in its order; not that of loaders, nor what went through `ctx.connection`."""


def run_node(
    function: NodeFunction,
    *,
    results: Mapping[NodeFunction, object] = _NOTHING,
    relations: Mapping[Reference, Rows] = _NOTHING,
    vars: Mapping[str, object] = _NOTHING,
    pools: Mapping[str, int | Pool] = _NOTHING,
    providers: Mapping[str, object] = _NOTHING,
    checkpoints: Mapping[str, object] = _NOTHING,
    exports: str | os.PathLike[str] | None = None,
    reload: bool = False,
    retry: bool = False,
    clock: Clock | None = None,
    raises: bool = True,
    backend: Backend = "asyncio",
) -> NodeRun:
    """Run a decorated function, `def` or `async def`, once and in memory, and return what it gave.

    results     what upstream nodes returned: the payload, or what their `ctx.result(...)` would be
    relations   what models and sources hold: dicts of column name and value, an Arrow table, a dataframe, or a SELECT
    vars        the project's variables
    pools       pools of the settings by name: slots, or a `Pool`; those that the node declares are there, with one slot
    providers   what stands for the providers that the node uses, by name
    checkpoints what `ctx.checkpoint` has kept in the run that this one goes on with
    exports     the folder that stands for the project's where `ctx.export` writes; without one it may not
    reload      what `ctx.is_reload` tells a loader
    retry       apply the node's retry policy; without a `clock`, on one that waits for nothing
    clock       what retries and rates go by
    raises      raise what a failed node raised, itself; else it is `.error`
    backend     the event loop, for the `async def` part of the work

    Runs by the rules of a run: an undeclared upstream, a payload that is not JSON or a forgotten `await` fails the node.
    What has no meaning without a project is left out: column lineage, `isolate="process"` and with it the time limit of
    a `def`. Raises ProjectError for what `sqb compile` refuses in the node or in settings with such pools, TypeError for
    a function that is none, and RuntimeError inside a running event loop: `await arun_node(...)` there.
    """
    if _loop_is_running():
        raise RuntimeError(
            "run_node() was called inside a running event loop: write `await arun_node(...)` in an async test"
        )
    check_argument_types({"vars": vars, "backend": backend})
    given = _Given(
        results=results,
        relations=relations,
        vars=vars,
        pools=pools,
        providers=providers,
        checkpoints=checkpoints,
        exports=exports,
        reload=reload,
        retry=retry,
        clock=clock,
    )
    run: NodeRun = run_async(_OneRun(function, given).run, backend=backend)
    __tracebackhide__ = True  # pytest shows the test and the node, not what stands between
    return _judged(run, raises=raises)


async def arun_node(
    function: NodeFunction,
    *,
    results: Mapping[NodeFunction, object] = _NOTHING,
    relations: Mapping[Reference, Rows] = _NOTHING,
    vars: Mapping[str, object] = _NOTHING,
    pools: Mapping[str, int | Pool] = _NOTHING,
    providers: Mapping[str, object] = _NOTHING,
    checkpoints: Mapping[str, object] = _NOTHING,
    exports: str | os.PathLike[str] | None = None,
    reload: bool = False,
    retry: bool = False,
    clock: Clock | None = None,
    raises: bool = True,
) -> NodeRun:
    """`run_node` for async tests, on asyncio or trio; takes the same, without `backend`."""
    check_argument_types({"vars": vars})
    given = _Given(
        results=results,
        relations=relations,
        vars=vars,
        pools=pools,
        providers=providers,
        checkpoints=checkpoints,
        exports=exports,
        reload=reload,
        retry=retry,
        clock=clock,
    )
    run = await _OneRun(function, given).run()
    __tracebackhide__ = True
    return _judged(run, raises=raises)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    results: Mapping[NodeFunction, object]
    relations: Mapping[Reference, Rows]
    vars: Mapping[str, object]
    pools: Mapping[str, int | Pool]
    providers: Mapping[str, object]
    checkpoints: Mapping[str, object]
    exports: str | os.PathLike[str] | None
    reload: bool
    retry: bool
    clock: Clock | None


class _OneRun:
    """Everything that can be wrong with what is given is found when it is made."""

    def __init__(self, function: NodeFunction, given: _Given) -> None:
        declaration = declaration_to_test(function)
        self._declaration = declaration
        self._given = given
        self._compiled = compile_one_node(
            declaration, vars=given.vars, pools=given.pools, providers=tuple(given.providers), retry=given.retry
        )
        self._node = self._compiled.graph.nodes[id_of(declaration)]
        self._clock = given.clock or (VirtualClock() if given.retry else SystemClock())
        self._upstream = [result_to_json(_stored(each, value, self._clock)) for each, value in given.results.items()]
        self._checkpoints = {
            key: plain_json_text(value, f"checkpoints[{key!r}]", sys.maxsize) or "null"
            for key, value in given.checkpoints.items()
        }
        self._warehouse = InMemoryWarehouse(
            {self._relation_of(reference): rows for reference, rows in given.relations.items()}
        )

    def _relation_of(self, reference: Reference) -> Relation:
        node = self._compiled.graph.nodes.get(node_id(reference.kind, reference.name))
        return node.relation if node is not None and node.relation else Relation("", SCHEMA, reference.name)

    async def run(self) -> NodeRun:
        events: list[Event] = []
        errors: list[BaseException] = []
        store, journal = InMemoryStateStore(), InMemoryJournal(run_id=RUN_ID, target=TARGET)
        await store.append_results(self._upstream)
        try:
            await self._prepare_warehouse()
            services = self._services(store, journal, events.append, errors.append)
            with captured_output(), captured_logging():
                run = await execute_plan(self._plan(), self._order(), services)
            result = run.results[self._node.id]
            rows = await self._loaded_rows() if result.status in SUCCESSES else None
        finally:
            with anyio.CancelScope(shield=True):
                await self._warehouse.close()
        return self._told(result, events, errors, journal, rows)

    async def _prepare_warehouse(self) -> None:
        if self._node.kind is NodeKind.LOADER:
            # A load is committed together with a record of it, in a table of the engine.
            await self._warehouse.open_for_loading()
            await WarehouseStateStore(self._warehouse, SCHEMA, statements=DUCKDB_STATEMENTS).begin()
        elif "connection" in _names(self._declaration):
            # ctx.connection cannot wait for it in an async node.
            await self._warehouse.open()

    def _plan(self) -> Plan:
        selected = Selected(nodes=frozenset({self._node.id}), required=frozenset())
        return build_plan(self._compiled.graph, selected, Past(), target=TARGET)

    def _order(self) -> RunOrder:
        order = order_of(self._compiled, RunOptions(embedded=True, reload=self._given.reload), RUN_ID)
        return dataclasses.replace(
            order, checkpoints={self._node.id: {"": self._checkpoints}}, exports=self._export_places()
        )

    def _export_places(self) -> ExportPlaces | None:
        if self._given.exports is None:
            return None
        return ExportPlaces(root=os.path.realpath(self._given.exports), spool=tempfile.gettempdir())

    def _services(
        self,
        store: InMemoryStateStore,
        journal: InMemoryJournal,
        publish: Callable[[Event], None],
        on_error: Callable[[BaseException], None],
    ) -> RunServices:
        return RunServices(
            warehouse=self._warehouse,
            store=store,
            journal=journal,
            clock=self._clock,
            publish=publish,
            make_executor=ThreadLane,
            providers=GivenProviders(self._given.providers),
            loading=make_loading(self._compiled.project.settings),
            copying=make_copying(self._compiled.project.settings),
            encode=result_to_json,
            jitter=lambda: 1.0,
            leave_now=lambda _exit_code: None,
            abandon=lambda _result: None,
            on_error=lambda _node, error: on_error(error),
        )

    async def _loaded_rows(self) -> tuple[dict[str, Any], ...] | None:
        if self._node.kind is not NodeKind.LOADER or self._node.relation is None:
            return None
        return await self._warehouse.rows_of(self._node.relation)

    def _told(
        self,
        result: NodeResult,
        events: list[Event],
        errors: list[BaseException],
        journal: InMemoryJournal,
        rows: tuple[dict[str, Any], ...] | None,
    ) -> NodeRun:
        outcome = NodeOutcome.of(result)
        kept = journal.read().checkpoints.get(self._node.id)
        texts = {**self._checkpoints, **(kept.texts.get("", {}) if kept is not None else {})}
        return NodeRun(
            status=outcome.status,
            payload=outcome.payload,
            metadata=outcome.metadata,
            materialized=outcome.materialized,
            skip_reason=outcome.skip_reason,
            skip_mode=outcome.skip_mode,
            verdict=verdict_of(result),
            message=message_of(result),
            rows=rows,
            # The last attempt raised if every one of them did.
            error=errors[-1] if errors and len(errors) == outcome.attempts else None,
            errors=tuple(errors),
            attempts=outcome.attempts,
            warnings=outcome.warnings,
            checkpoints={key: json.loads(text) for key, text in texts.items()},
            logs=tuple(event for event in events if isinstance(event, NodeLogged)),
            progress=tuple(event for event in events if isinstance(event, NodeProgress)),
            statements=tuple(self._warehouse.statements),
        )


def _judged(run: NodeRun, *, raises: bool) -> NodeRun:
    """Show what the node printed, as if nothing had stood between, and raise what it raised."""
    for said in run.logs:
        if said.level in ("print", "stderr"):
            stream = sys.stdout if said.level == "print" else sys.stderr
            stream.write(f"{said.message}\n")
    if raises and run.error is not None:
        __tracebackhide__ = True
        raise run.error.with_traceback(_from_the_author_on(run.error.__traceback__))
    return run


def _from_the_author_on(whole: TracebackType | None) -> TracebackType | None:
    """A traceback without the engine's frames in front; the whole of one that has no others."""
    rest = whole
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        rest = rest.tb_next
    return rest or whole


def _stored(function: NodeFunction, value: object, clock: Clock) -> NodeResult:
    """The success that an upstream is said to have had. Raises TypeError, and UnstorableResult for what is not JSON."""
    declaration = declaration_to_test(function)
    given = value if isinstance(value, NodeValue) else NodeValue(payload=value)
    where = f"results[{declaration.declared.name}]"
    limit = sys.maxsize
    return NodeResult(
        run_id=RUN_ID,
        node_id=id_of(declaration),
        kind=kind_of_declaration(declaration),
        name=declaration.declared.name,
        status=Status.SUCCEEDED,
        attempt=1,
        materialized=given.materialized,
        payload=plain_json_text(given.payload, where, limit),
        metadata=plain_json_text(given.metadata, f"{where} metadata", limit),
        started_at=clock.now(),
        finished_at=clock.now(),
    )


def _names(declaration: PythonNode) -> set[str]:
    """What the code of the function and of the functions within it calls by name."""
    function = declaration.declared.function
    waiting = [layer.__code__ for layer in layers_of(function)] if isinstance(function, FunctionType) else []
    names: set[str] = set()
    while waiting:
        code = waiting.pop()
        names.update(code.co_names)
        waiting += _codes_in(code)
    return names


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _loop_is_running() -> bool:
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        return False
    return True
