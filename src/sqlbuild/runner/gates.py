"""Models that have staged what they made and wait for their gates: without a task, a connection or a slot.

    Staged       what a model's first part comes to; its slots go back
    gates        audit nodes, which look at the staged relation and are scheduled, retried and journaled like any node
    conclude     the second part, in the same attempt and with slots of its own, once the last gate has ended: what is
                 staged takes effect, or is dropped and the model fails

If `promote` fails and the model is tried again, the next attempt only promotes: what the gates have seen is what will take
effect. Whatever is still staged when the run ends is dropped; what a killed run has staged is found by its name.

Another kind of node takes part by returning `Staged` from its first part. Work that has to look at several staged
relations one after the other, such as the batches of an incremental model, awaits `AuditRunner.look` instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import anyio

from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.errors import AuditFailed, WarehouseError
from sqlbuild.runner.kinds.audit import refused
from sqlbuild.runner.outcomes import Outcome, Raised, Staged

DROP_SECONDS = 10.0


class Gated:
    """One model that has staged something; `gates` are its audits in the run."""

    def __init__(self, node: Node, staged: Staged, gates: tuple[NodeId, ...], worked: float) -> None:
        self.gates = gates
        self.rejected_by: tuple[NodeId, ...] = ()
        self.is_staged = True
        self.worked = worked
        """Seconds of the first part."""
        self._node = node
        self._staged = staged

    @property
    def relation(self) -> Relation:
        return self._staged.relation

    async def conclude(self, attempt: int) -> Outcome:
        """Raises WarehouseError if it could not take effect; then it is still staged."""
        if self.rejected_by:
            await self.drop()
            return Raised(self.refusal())
        outcome = await self._staged.promote(attempt)
        self.is_staged = False
        return outcome

    def refusal(self) -> AuditFailed:
        return refused(self._node, self.rejected_by, len(self.gates))

    async def drop(self) -> None:
        """What is not dropped now, the next build finds."""
        with anyio.move_on_after(DROP_SECONDS, shield=True), contextlib.suppress(WarehouseError):
            await self._staged.discard()
        self.is_staged = False


class Gates:
    """All models of a run that have gates; `guards` maps each gate to its model."""

    def __init__(self, guards: Mapping[NodeId, NodeId]) -> None:
        self.guards = guards
        self._gates: dict[NodeId, list[NodeId]] = {}
        for gate, node in guards.items():
            self._gates.setdefault(node, []).append(gate)
        self._gated: dict[NodeId, Gated] = {}
        self._late: list[Gated] = []

    def __contains__(self, node: object) -> bool:
        return node in self._gates

    def staged_relation(self, node: NodeId) -> Relation | None:
        """What the gates of a model have to look at, in the place of its relation."""
        gated = self._gated.get(node)
        return gated.relation if gated is not None and gated.is_staged else None

    def add(self, node: Node, staged: Staged, worked: float) -> Gated:
        gated = self._gated[node.id] = Gated(node, staged, tuple(self._gates[node.id]), worked)
        return gated

    def came_too_late(self, node: Node, staged: Staged) -> None:
        """It was staged when the end of the attempt was written down already."""
        self._late.append(Gated(node, staged, (), 0.0))

    def of(self, node: NodeId) -> Gated | None:
        return self._gated.get(node)

    async def drop_what_is_left(self) -> None:
        for gated in (*self._gated.values(), *self._late):
            if gated.is_staged:
                await gated.drop()
