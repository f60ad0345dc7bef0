"""How full the lanes and pools of a run are and how many nodes wait for each, counted from events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlbuild.domain.events import (
    Event,
    NodeFinished,
    NodeRetrying,
    NodeStaged,
    NodeStarted,
    PoolPaused,
    PoolUse,
    RunStarted,
)
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.nodes import Asset, Audit, Check, Function, Loader, Model, Seed, Source, Task, UnitTest
from sqlbuild.domain.plans import Step


class CapacityUse:
    """Counts holders and waiting nodes per lane and pool."""

    def __init__(self) -> None:
        self.limits: Mapping[str, int] = {}
        self.used: dict[str, int] = {}
        self.waiting: dict[str, int] = {}
        """A node is counted where it waits: in its pools if it names any, else in its lane."""
        self.paused_until: dict[str, float] = {}
        """Pool -> seconds since the epoch."""
        self._used_by_blocks: Mapping[str, int] = {}
        self._waiting_blocks: Mapping[str, int] = {}
        self._steps: Mapping[NodeId, Step] = {}
        self._downstream: Mapping[NodeId, tuple[NodeId, ...]] = {}
        self._missing: dict[NodeId, int] = {}
        self._ready: set[NodeId] = set()
        self._holding: set[NodeId] = set()

    def handle(self, event: Event) -> None:
        match event:
            case NodeStarted(node=node):
                self._leave_queue(node)
                if node not in self._holding:
                    self._holding.add(node)
                    self._add(self.used, self._places(node), 1)
            case NodeFinished(result=result):
                self._release(result.node_id)
                self._leave_queue(result.node_id)
                self._one_less(self._downstream.get(result.node_id, ()))
            case NodeStaged(node=node, gates=gates):
                self._release(node)
                self._one_less(gates)
            case NodeRetrying(node=node):
                self._release(node)
            case PoolUse(used=used, waiting=waiting):
                self._used_by_blocks, self._waiting_blocks = used, waiting
            case PoolPaused(at=at, pool=pool, seconds=seconds):
                self.paused_until[f"pool:{pool}"] = at + seconds
            case RunStarted(plan=plan, lanes=lanes):
                self.limits = lanes
                self._steps = plan.steps
                self._downstream = plan.graph.downstream
                self._missing = {node: len(step.upstream) for node, step in plan.steps.items()}
                for node, missing in self._missing.items():
                    if missing == 0:
                        self._join_queue(node)
            case _:
                return

    def used_of(self, place: str) -> int:
        """Slots that nodes and ctx.pool blocks hold."""
        return self.used.get(place, 0) + self._used_by_blocks.get(place, 0)

    def waiting_for(self, place: str) -> int:
        """Nodes and ctx.pool blocks."""
        return self.waiting.get(place, 0) + self._waiting_blocks.get(place, 0)

    def _places(self, node: NodeId) -> tuple[str, ...]:
        step = self._steps.get(node)
        return lane_and_pools(step) if step is not None else ()

    def _one_less(self, waiting: Iterable[NodeId]) -> None:
        for node in waiting:
            if node in self._missing:
                self._missing[node] -= 1
                if self._missing[node] == 0:
                    self._join_queue(node)

    def _join_queue(self, node: NodeId) -> None:
        self._ready.add(node)
        self._add(self.waiting, self._queues(node), 1)

    def _leave_queue(self, node: NodeId) -> None:
        self._missing.pop(node, None)
        if node in self._ready:
            self._ready.discard(node)
            self._add(self.waiting, self._queues(node), -1)

    def _release(self, node: NodeId) -> None:
        if node in self._holding:
            self._holding.discard(node)
            self._add(self.used, self._places(node), -1)

    def _queues(self, node: NodeId) -> tuple[str, ...]:
        places = self._places(node)
        return places[1:] or places

    def _add(self, counts: dict[str, int], places: tuple[str, ...], change: int) -> None:
        for place in places:
            counts[place] = counts.get(place, 0) + change


def lane_and_pools(step: Step) -> tuple[str, ...]:
    """The lane a node counts in, named like its setting, then its pools as `pool:name`."""
    declaration = step.node.declaration
    match declaration:
        case Task(declared=declared) | Asset(declared=declared) | Loader(declared=declared) | Check(declared=declared):
            lane, pools = "concurrency" if declared.is_async else "threads", declared.pools
        case Model() | Seed() | Function() | UnitTest() | Audit():
            lane, pools = "connections", declaration.pools
        case Source():
            return ()
    return (lane, *(f"pool:{pool}" for pool in pools))
