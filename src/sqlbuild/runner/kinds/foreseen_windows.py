"""What a build would do to each incremental model of a plan, as far as it can be seen before."""

from __future__ import annotations

import dataclasses

from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.plans import Plan, Step
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.incremental import Deltas, Standing
from sqlbuild.interfaces.warehouse import Connection, Warehouse
from sqlbuild.runner.kinds.incremental_model import decide, plan_batches


async def with_windows(plan: Plan, warehouse: Warehouse | None = None, deltas: Deltas | None = None) -> Plan:
    """The plan with `Step.does` of its incremental models. Reads the warehouse, if there is one, and changes nothing."""
    if all(step.incremental is None for step in plan.steps.values()):
        return plan
    connection = warehouse.connect() if warehouse is not None else None
    try:
        steps = {
            node: step
            if step.incremental is None
            else dataclasses.replace(step, does=await _foreseen(plan, step, connection, deltas))
            for node, step in plan.steps.items()
        }
    finally:
        if connection is not None:
            await connection.close()
    return dataclasses.replace(plan, steps=steps)


async def _foreseen(plan: Plan, step: Step, connection: Connection | None, deltas: Deltas | None) -> str:
    node, build = step.node, step.incremental
    model = node.declaration
    assert isinstance(model, Model)
    assert build is not None
    assert node.relation is not None
    grows, query = model.incremental, node.incremental_sql
    assert grows is not None
    assert query is not None
    standing = Standing.MISSING
    if connection is not None and deltas is not None:
        standing = await deltas.standing(connection, node.relation)
    whole = build.full or standing is not Standing.TABLE
    what = "the whole table" if whole else str(grows.strategy)
    why = f" ({build.why})" if build.why and not (whole and not build.full) else ""
    if grows.cursor is None:
        return f"{what}{why}"
    built_before = [each.name for each in query.inputs if _is_built_before(plan, each.node)]
    if built_before or connection is None or deltas is None:
        return f"{what}{why}, as far as {', '.join(built_before) or 'its inputs'} will have got then"
    try:
        decided = await decide(node, build, deltas, connection, standing)
    except WarehouseError as error:
        return f"{what}{why}: {error.args[0]}"
    if decided.nothing:
        return f"{what}{why}: {decided.nothing}"
    text = f"{what}{why}, {grows.cursor} {decided.window}"
    if grows.is_microbatch and decided.window is not None:
        batches, size = plan_batches(grows, decided.window, query)
        text += f", {len(batches):,} {'batch' if len(batches) == 1 else 'batches'} of {size}"
    return "; ".join((text, *decided.warnings))


def _is_built_before(plan: Plan, id: NodeId) -> bool:
    """Whether the run itself changes an input: builds it, fills it, or changes what a view of it reads."""
    waiting, seen = [id], {id}
    while waiting:
        node = plan.graph.nodes[waiting.pop()]
        if node.id in plan.steps and not _is_view(node):
            return True
        if _is_view(node) or node.kind is NodeKind.SOURCE:
            waiting += [near for near in node.depends_on if near not in seen]
            seen.update(node.depends_on)
    return False


def _is_view(node: Node) -> bool:
    return isinstance(node.declaration, Model) and not node.declaration.is_table
