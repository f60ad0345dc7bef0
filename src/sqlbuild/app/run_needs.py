"""What the nodes of a plan work with, besides connections of the warehouse: what none of them needs is not loaded."""

from __future__ import annotations

from sqlbuild.domain.ids import PYTHON_KINDS, NodeKind
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class RunNeeds:
    """The parts of `RunServices` that are of some runs only."""

    loading: bool
    copying: bool
    functions: bool
    comparing: bool
    staging: bool
    deltas: bool


def needs_of(plan: Plan) -> RunNeeds:
    nodes = [step.node for step in plan.steps.values()]
    kinds = {node.kind for node in nodes}
    calls_python = not kinds.isdisjoint(PYTHON_KINDS) or any(node.hooks for node in nodes)
    grows = any(isinstance(node.declaration, Model) and node.declaration.incremental is not None for node in nodes)
    return RunNeeds(
        loading=calls_python or NodeKind.SEED in kinds,
        copying=calls_python,
        functions=NodeKind.FUNCTION in kinds,
        comparing=NodeKind.TEST in kinds,
        staging=grows or NodeKind.AUDIT in kinds,
        deltas=grows,
    )
