"""Nodes that are SQL: audits, and models and whatever else `ModelBuilder` builds. Each is awaited with a slot of the connections lane."""

from __future__ import annotations

from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Audit
from sqlbuild.runner.kinds.audit import AuditRunner
from sqlbuild.runner.kinds.sql_model import GiveWay, ModelBuilder
from sqlbuild.runner.outcomes import Outcome


class SqlNodes:
    def __init__(self, models: ModelBuilder, audits: AuditRunner) -> None:
        self._models = models
        self._audits = audits

    async def run(self, node: Node, attempt: int, give_way: GiveWay | None = None) -> Outcome:
        """`give_way` lets others have the node's slot for a while. Raises WarehouseError, of a seed SeedError too."""
        if isinstance(node.declaration, Audit):
            return await self._audits.run(node)
        return await self._models.build(node, attempt, give_way)
