"""The parts of a run, made from its plan, its order and its services."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from sqlbuild.domain.events import RunWarning
from sqlbuild.domain.graph import gates_among
from sqlbuild.domain.ids import PYTHON_KINDS, NodeId
from sqlbuild.domain.nodes import PythonNode
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import NodeResult
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.state_store import StateStore
from sqlbuild.runner.capacity import Capacity, Lane, Waiter, pool_key
from sqlbuild.runner.checkpoints import RunCheckpoints
from sqlbuild.runner.connection_slots import ConnectionSlots
from sqlbuild.runner.gates import Gates
from sqlbuild.runner.isolation import Isolation
from sqlbuild.runner.kinds.audit import AuditRunner
from sqlbuild.runner.kinds.sql_model import BuildsToCome, ModelBuilder
from sqlbuild.runner.kinds.sql_node import SqlNodes
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.node_session import NodeEnvironment, make_exporting
from sqlbuild.runner.node_work import WorkServices
from sqlbuild.runner.providing import Providing
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.runner.scheduler import Scheduler


async def results_from_outside(plan: Plan, order: RunOrder, store: StateStore) -> Mapping[NodeId, NodeResult]:
    """Results that nodes of the run may read of nodes that are not in it: of the resumed run, else the latest."""
    outside = {
        upstream
        for step in plan.steps.values()
        for upstream in step.node.depends_on
        if (order.dry_run or upstream not in plan.steps) and plan.graph.nodes[upstream].kind in PYTHON_KINDS
    }
    stored = await store.latest_success(outside - order.earlier.keys()) if outside else {}
    return {**stored, **order.earlier}


def make_gates(plan: Plan) -> Gates:
    return Gates(gates_among(plan.graph, plan.steps))


def make_sql_nodes(
    plan: Plan,
    order: RunOrder,
    services: RunServices,
    results: Mapping[NodeId, NodeResult],
    gates: Gates,
    environment: NodeEnvironment,
    checkpoints: RunCheckpoints,
) -> SqlNodes:
    audits = AuditRunner(plan.graph, plan.steps, services.warehouse, order.max_payload_bytes, gates.staged_relation)
    models = ModelBuilder(plan, order, services, results, environment, checkpoints, gates, audits.look)
    return SqlNodes(models, audits)


def make_scheduler(plan: Plan, gates: Gates) -> Scheduler:
    return Scheduler(
        {node: step.upstream for node, step in plan.steps.items()},
        {
            node: step.node.declaration.declared.requires
            for node, step in plan.steps.items()
            if isinstance(step.node.declaration, PythonNode)
        },
        gates.guards,
        not_read={
            (near, node)
            for node, step in plan.steps.items()
            if step.only_waits_for or step.node.tested_by
            for near in (*step.node.tested_by, *step.only_waits_for)
        },
    )


def make_capacity(order: RunOrder, clock: Clock) -> Capacity[Waiter]:
    pools = {pool_key(name): slots for name, slots in order.pools.items()}
    rates = {pool_key(name): rate for name, rate in order.rates.items()}
    return Capacity({**order.limits, **pools}, rates, clock.monotonic)


def make_isolation(plan: Plan, order: RunOrder, services: RunServices, bridge: LoopBridge) -> Isolation:
    make = services.make_processes
    return Isolation(
        None if make is None else functools.partial(make, order.root),
        bridge,
        plan.graph,
        lambda text: services.publish(RunWarning(services.clock.now(), text)),
        max_bytes=order.max_payload_bytes,
        helpers=order.limits[Lane.THREADS.value],
        masker=services.masker,
    )


def make_environment(
    plan: Plan,
    order: RunOrder,
    services: RunServices,
    *,
    results: Mapping[NodeId, NodeResult],
    stored: Mapping[NodeId, NodeResult],
    slots: ConnectionSlots,
    bridge: LoopBridge,
    work: WorkServices,
    providing: Providing | None,
) -> NodeEnvironment:
    """What all nodes of the run share."""
    return NodeEnvironment(
        providing=providing,
        run_id=order.run_id,
        target=plan.target,
        vars=order.vars,
        graph=plan.graph,
        results=results,
        stored=stored,
        store=services.store,
        slots=slots,
        bridge=bridge,
        work=work,
        clock=services.clock,
        publish=services.publish,
        is_reload=order.is_reload,
        loading=services.loading,
        commits=order.commits,
        is_built_later=BuildsToCome(plan, results),
        exporting=make_exporting(order, services),
        dry_run=order.dry_run,
        said=services.publish if services.logs is None else services.logs.said,
    )
