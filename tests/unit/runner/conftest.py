"""Plans made of plain functions, run for real with state kept in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import anyio
import pytest

from sqlbuild.app.event_loop import SystemClock
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.domain.events import Event
from sqlbuild.domain.graph import Fingerprint, Graph, Node
from sqlbuild.domain.ids import NodeId, Place, node_id
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.nodes import PythonNode, kind_of_declaration
from sqlbuild.domain.plans import Plan, Reason, Step
from sqlbuild.domain.results import RunResult
from sqlbuild.domain.settings import Connection
from sqlbuild.executors.local import ThreadLane
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.state_store import Journal
from sqlbuild.runner.execute_plan import execute_plan
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.state.in_memory import InMemoryJournal, InMemoryStateStore
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.warehouses.duckdb import DuckDBWarehouse

NOTHING = Fingerprint(code="c", settings="s", upstream="u", total="t")


@dataclasses.dataclass
class Ran:
    result: RunResult
    events: list[Event]
    journal: InMemoryJournal
    store: InMemoryStateStore

    def statuses(self) -> dict[str, str]:
        return {result.name: str(result.status) for result in self.result.results.values()}


class GivenProviders:
    """Instances that are there already."""

    def __init__(self, instances: Mapping[str, object]) -> None:
        self.names = tuple(instances)
        self._instances = instances

    def make(self, name: str) -> Any:
        return self._instances[name]


def plan_of(functions: Mapping[Callable[..., object], tuple[Callable[..., object], ...]]) -> Plan:
    """A plan of decorated functions, each with the functions it depends on; in a topological order."""
    nodes: dict[NodeId, Node] = {}
    downstream: dict[NodeId, tuple[NodeId, ...]] = {}
    for function, upstream in functions.items():
        node = node_of(function)
        above = tuple(node_of(other) for other in upstream)
        declaration = declaration_of(function)
        assert isinstance(declaration, PythonNode)
        nodes[node] = Node(
            id=node,
            kind=kind_of_declaration(declaration),
            name=declaration.declared.name,
            place=Place("tasks/t.py", 1),
            declaration=declaration,
            depends_on=above,
            providers=declaration.declared.providers,
            fingerprint=NOTHING,
        )
        downstream.setdefault(node, ())
        for other in above:
            downstream[other] = (*downstream[other], node)
    steps = {
        node: Step(node=compiled, upstream=compiled.depends_on, reason=Reason.FIRST_RUN)
        for node, compiled in nodes.items()
    }
    return Plan(target="dev", graph=Graph(nodes=nodes, downstream=downstream), steps=steps)


def plan_without(plan: Plan, functions: Collection[Callable[..., object]]) -> Plan:
    """The same plan without the steps of some functions, which stay in the graph."""
    left_out = set(map(node_of, functions))
    steps = {
        node: dataclasses.replace(step, upstream=tuple(near for near in step.upstream if near not in left_out))
        for node, step in plan.steps.items()
        if node not in left_out
    }
    return dataclasses.replace(plan, steps=steps)


def node_of(function: Callable[..., object]) -> NodeId:
    declaration = declaration_of(function)
    assert isinstance(declaration, PythonNode)
    return node_id(kind_of_declaration(declaration), declaration.declared.name)


@pytest.fixture
def run_plan() -> Callable[..., Any]:
    async def run(
        functions: Mapping[Callable[..., object], tuple[Callable[..., object], ...]],
        limits: Mapping[str, int] | None = None,
        abandon: Callable[[RunResult], None] | None = None,
        events: list[Event] | None = None,
        wrap_journal: Callable[[Journal], Journal] = lambda journal: journal,
        store: InMemoryStateStore | None = None,
        run_id: str = "r1",
        without: Collection[Callable[..., object]] = (),
        clock: Clock | None = None,
        providers: Mapping[str, object] | None = None,
        masker: Masker | None = None,
        carry_out: Callable[[Plan, RunOrder, RunServices], Awaitable[RunResult]] = execute_plan,
        **order: Any,
    ) -> Ran:
        events = [] if events is None else events
        journal, store = InMemoryJournal(run_id=run_id, target="dev"), store or InMemoryStateStore()
        warehouse = DuckDBWarehouse(Connection(name="local", adapter="duckdb", options={"database": ":memory:"}), "/")
        await warehouse.open()
        services = RunServices(
            warehouse=warehouse,
            store=store,
            journal=wrap_journal(journal),
            clock=clock or SystemClock(),
            publish=events.append,
            make_executor=ThreadLane,
            encode=result_to_json,
            jitter=lambda: 0.0,
            leave_now=lambda code: None,
            abandon=abandon or (lambda result: None),
            providers=None if providers is None else GivenProviders(providers),
            masker=masker,
        )
        try:
            result = await carry_out(
                plan_without(plan_of(functions), without),
                RunOrder(
                    run_id=run_id,
                    root="/nowhere",
                    limits={"concurrency": 8, "threads": 4, "connections": 2, **(limits or {})},
                    **order,
                ),
                services,
            )
        finally:
            with anyio.CancelScope(shield=True):
                await warehouse.close()
        return Ran(result, events, journal, store)

    return run
