"""A dry run: which nodes are called, and what the others would do.

The run goes its usual way, so that failures and skips of the nodes that are called decide what would come after them.
Where another node would work, its outcome is `WouldRun`, and a model's SQL is explained instead of built, provided
that what it reads is there and does not change in this run.
"""

from __future__ import annotations

import anyio

from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.nodes import Model, PythonNode
from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Plan, Reason
from sqlbuild.interfaces.warehouse import Warehouse
from sqlbuild.runner.kinds.sql_model import explain_model
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised, WouldRun

_UNCHANGED = (Reason.SELECTED, Reason.LAST_FAILED)


class Rehearsal:
    def __init__(self, plan: Plan, warehouse: Warehouse) -> None:
        self._plan = plan
        self._warehouse = warehouse
        self._past: Past | None = None
        self._reading = anyio.Lock()

    def calls(self, node: Node) -> bool:
        return isinstance(node.declaration, PythonNode) and node.declaration.declared.dry_run

    async def outcome_of(self, node: Node) -> Outcome:
        """What stands for the work of a node that is not called. Never raises."""
        why = self._plan.steps[node.id].why
        model = node.declaration
        if not isinstance(model, Model):
            return WouldRun(why)
        try:
            checked = await self._checked(node)
        except anyio.get_cancelled_exc_class() as error:
            return Cancelled(error)
        except BaseException as error:  # noqa: BLE001 - it concerns this node only
            return Raised(error)
        built_as = "an incremental table" if model.incremental is not None else f"a {model.materialized}"
        return WouldRun(f"{why}; as {built_as}, {checked}")

    async def _checked(self, node: Node) -> str:
        """What is known of a model's SQL. Raises WarehouseError with the place in its file."""
        async with self._reading:
            self._past = self._past or Past(relations=await self._warehouse.relations())
        for upstream in node.depends_on:
            if remark := self._remark(upstream, self._past):
                return f"its SQL is not checked: {upstream} {remark}"
        await explain_model(node, self._warehouse)
        return "its SQL is right"

    def _remark(self, upstream: NodeId, past: Past) -> str:
        """Why nothing can be said of SQL that reads `upstream`, if that is so."""
        node = self._plan.graph.nodes[upstream]
        if node.kind is NodeKind.SOURCE:
            filled_here = any(filler in self._plan.steps for filler in node.depends_on)
            missing = node.relation is not None and Past(relations=past.relations).lacks(node)
            return "is not loaded yet" if filled_here and missing else ""
        if node.relation is None or upstream not in self._plan.steps:
            return ""
        if node.kind is not NodeKind.FUNCTION and past.lacks(node):
            return "does not exist yet"
        return "" if self._plan.steps[upstream].reason in _UNCHANGED else "changes in this run"
