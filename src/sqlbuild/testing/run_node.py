"""Runs one node without a project, by the very parts that run it in one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MappingProxyType
from typing import Any

import anyio
import anyio.lowlevel

from sqlbuild.app.building import order_of
from sqlbuild.app.options import Backend, Compiled, RunOptions
from sqlbuild.app.run_output import captured_logging, captured_output
from sqlbuild.app.wiring import SystemClock, run_async
from sqlbuild.authoring.functions import layers_of
from sqlbuild.domain.events import Event, NodeLogged, NodeProgress
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import PythonNode, kind_of_declaration
from sqlbuild.domain.past import Past
from sqlbuild.domain.results import FAILURES, NodeOutcome, NodeResult, NodeValue, SkipMode, Status
from sqlbuild.domain.selection import Selected
from sqlbuild.domain.settings import Pool
from sqlbuild.executors.local import ThreadLane
from sqlbuild.interfaces.clock import Clock
from sqlbuild.planner.build_plan import build_plan
from sqlbuild.refs import Reference
from sqlbuild.runner.execute_plan import execute_plan
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.runner.run_order import RunServices
from sqlbuild.state.in_memory import InMemoryJournal, InMemoryStateStore
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.testing.in_memory import InMemoryWarehouse, Rows
from sqlbuild.testing.one_node_project import SCHEMA, TARGET, compile_one_node, declaration_to_test, id_of
from sqlbuild.testing.virtual_clock import VirtualClock

RUN_ID = "test"
NodeFunction = Callable[..., object]

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
    error: BaseException | None
    """What the last attempt raised, if it failed."""
    errors: tuple[BaseException, ...]
    """What every attempt raised that failed, in their order."""
    attempts: int
    warnings: tuple[str, ...]
    logs: tuple[NodeLogged, ...]
    """What the node logged and printed: `.message`, `.level` ("print" and "stderr" for what it printed), `.fields`."""
    progress: tuple[NodeProgress, ...]
    statements: tuple[str, ...]
    """The SQL that was sent, in its order; not what went through `ctx.connection`."""


def run_node(
    function: NodeFunction,
    *,
    results: Mapping[NodeFunction, object] = _NOTHING,
    relations: Mapping[Reference, Rows] = _NOTHING,
    vars: Mapping[str, object] = _NOTHING,
    pools: Mapping[str, int | Pool] = _NOTHING,
    retry: bool = False,
    clock: Clock | None = None,
    raises: bool = True,
    backend: Backend = "asyncio",
) -> NodeRun:
    """Run a decorated function, `def` or `async def`, once and in memory, and return what it gave.

    results     what upstream nodes returned: the payload, or what their `ctx.result(...)` would be
    relations   what models and sources hold: dicts of column name and value, an Arrow table, a dataframe, or a SELECT
    vars        the project's variables
    pools       pools of the settings: slots, or a `Pool`; those that the node declares are there, with one slot
    retry       apply the node's retry policy; without a `clock`, on one that waits for nothing
    clock       what retries and rates go by
    raises      raise what a failed node raised, itself; else it is `.error`
    backend     the event loop, for the `async def` part of the work

    Runs by the rules of a run: an undeclared upstream, a payload that is not JSON or a forgotten `await` fails the node.
    What has no meaning without a project is left out: column lineage, `isolate="process"` and with it the time limit of
    a `def`. Raises ProjectError for what `sqb compile` refuses in the node, TypeError for a function that is none, and
    RuntimeError inside a running event loop: `await arun_node(...)` there.
    """
    if _loop_is_running():
        raise RuntimeError(
            "run_node() was called inside a running event loop: write `await arun_node(...)` in an async test"
        )
    prepared = _Prepared.of(function, results, relations, vars, pools, retry, clock)
    run: NodeRun = run_async(prepared.run, backend=backend)
    return prepared.judged(run, raises=raises)


async def arun_node(
    function: NodeFunction,
    *,
    results: Mapping[NodeFunction, object] = _NOTHING,
    relations: Mapping[Reference, Rows] = _NOTHING,
    vars: Mapping[str, object] = _NOTHING,
    pools: Mapping[str, int | Pool] = _NOTHING,
    retry: bool = False,
    clock: Clock | None = None,
    raises: bool = True,
) -> NodeRun:
    """`run_node` for async tests, on asyncio or trio; takes the same, without `backend`."""
    prepared = _Prepared.of(function, results, relations, vars, pools, retry, clock)
    return prepared.judged(await prepared.run(), raises=raises)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    compiled: Compiled
    node: NodeId
    upstream: tuple[NodeResult, ...]
    warehouse: InMemoryWarehouse
    opens_at_once: bool
    clock: Clock

    @classmethod
    def of(
        cls,
        function: NodeFunction,
        results: Mapping[NodeFunction, object],
        relations: Mapping[Reference, Rows],
        vars: Mapping[str, object],
        pools: Mapping[str, int | Pool],
        retry: bool,
        clock: Clock | None,
    ) -> _Prepared:
        declaration = declaration_to_test(function)
        compiled = compile_one_node(declaration, vars=vars, pools=pools, retry=retry)
        clock = clock or (VirtualClock() if retry else SystemClock())
        rows = {Relation("", SCHEMA, reference.name): given for reference, given in relations.items()}
        return cls(
            compiled=compiled,
            node=id_of(declaration),
            upstream=tuple(_stored(upstream, value, clock) for upstream, value in results.items()),
            warehouse=InMemoryWarehouse(rows),
            # ctx.connection cannot wait for it in an async node.
            opens_at_once="connection" in _names(declaration),
            clock=clock,
        )

    async def run(self) -> NodeRun:
        events: list[Event] = []
        errors: list[BaseException] = []
        store = InMemoryStateStore()
        await store.append_results([result_to_json(result) for result in self.upstream])
        services = RunServices(
            warehouse=self.warehouse,
            store=store,
            journal=InMemoryJournal(run_id=RUN_ID, target=TARGET),
            clock=self.clock,
            publish=events.append,
            make_executor=ThreadLane,
            encode=result_to_json,
            jitter=lambda: 1.0,
            leave_now=lambda _exit_code: None,
            abandon=lambda _result: None,
            on_error=lambda _node, error: errors.append(error),
        )
        plan = build_plan(
            self.compiled.graph,
            Selected(nodes=frozenset({self.node}), required=frozenset()),
            Past(),
            target=TARGET,
        )
        try:
            if self.opens_at_once:
                await self.warehouse.open()
            with captured_output(), captured_logging():
                result = await execute_plan(plan, order_of(self.compiled, RunOptions(embedded=True), RUN_ID), services)
        finally:
            with anyio.CancelScope(shield=True):
                await self.warehouse.close()
        return self._told(NodeOutcome.of(result.results[self.node]), events, errors)

    def _told(self, outcome: NodeOutcome, events: list[Event], errors: list[BaseException]) -> NodeRun:
        return NodeRun(
            status=outcome.status,
            payload=outcome.payload,
            metadata=outcome.metadata,
            materialized=outcome.materialized,
            skip_reason=outcome.skip_reason,
            skip_mode=outcome.skip_mode,
            error=errors[-1] if errors and outcome.status in FAILURES else None,
            errors=tuple(errors),
            attempts=outcome.attempts,
            warnings=outcome.warnings,
            logs=tuple(event for event in events if isinstance(event, NodeLogged)),
            progress=tuple(event for event in events if isinstance(event, NodeProgress)),
            statements=tuple(self.warehouse.statements),
        )

    def judged(self, run: NodeRun, *, raises: bool) -> NodeRun:
        """Show what the node printed, as if nothing had stood between, and raise what it raised."""
        for said in run.logs:
            if said.level in ("print", "stderr"):
                stream = sys.stdout if said.level == "print" else sys.stderr
                stream.write(f"{said.message}\n")
        if raises and run.error is not None:
            raise run.error
        return run


def _stored(function: NodeFunction, value: object, clock: Clock) -> NodeResult:
    """The success that an upstream is said to have had. Raises TypeError, and UnstorableResult for what is not JSON."""
    declaration = declaration_to_test(function)
    given = value if isinstance(value, NodeValue) else NodeValue(payload=value)
    where = f"results[{declaration.declared.name}]"
    limit = sys.maxsize
    return NodeResult(
        run_id="earlier",
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
