"""What one attempt of a node does at once with others: its `ctx.pool` blocks, checkpoints and maps."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence

from sqlbuild.authoring.service_waits import asked_wait, wait_to_tell
from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Audit, Model, PythonNode, Seed, UnitTest
from sqlbuild.domain.record import record
from sqlbuild.errors import EngineError, NodeCancelled, NodeError
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.executor import Executor
from sqlbuild.interfaces.node_work import MapOrder
from sqlbuild.runner.alarms import Alarms
from sqlbuild.runner.capacity import Capacity, Need, Waiter
from sqlbuild.runner.checkpoints import RunCheckpoints
from sqlbuild.runner.fan_out import BackgroundMap, FanOut
from sqlbuild.runner.lent_threads import LentThreads, LoanRequest
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.map_workers import take_pools_in_map
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.runner.pool_gate import PoolGate, PoolsOfNode
from sqlbuild.runner.run_order import RunOrder, RunServices

Lend = Callable[[Callable[[], bool]], bool]


@record(frozen=True, slots=True, kw_only=True)
class WorkServices:
    """What the work of all nodes of a run shares."""

    gate: PoolGate
    checkpoints: RunCheckpoints
    threads: LentThreads
    bridge: LoopBridge
    clock: Clock
    max_bytes: int
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    """Helping threads of a node may ask for its work at the same moment."""

    def after_grant(self, due: float | None) -> None:
        """Something may be waiting for a token that comes at `due`, or for a thread that is lent."""
        if due is not None:
            self.gate.wake_at(due)
        if self.threads.out:
            self.threads.review()

    def wait_asked_by(self, error: BaseException, node: Node) -> float | None:
        """Seconds that a failed node has been asked to wait; pauses its pools, unless a block has paused others."""
        wait = asked_wait(error, self.clock.now)
        if wait is not None and (untold := wait_to_tell(error, self.clock.now)) is not None:
            self.gate.pause(_pools_of(node), untold, node)
        return wait


def begin_work(
    order: RunOrder,
    services: RunServices,
    capacity: Capacity[Waiter],
    *,
    alarms: Alarms,
    bridge: LoopBridge,
    executor: Executor,
    grant: Callable[[], None],
    failed: Callable[[EngineError], None],
    thread_came_back: Callable[[], None],
) -> WorkServices:
    """What the nodes of a run work with."""
    clock = services.clock
    return WorkServices(
        gate=PoolGate(capacity, order.pools, clock, alarms, services.publish, grant),
        checkpoints=RunCheckpoints(services.journal, clock, failed, order.checkpoints, services.masker),
        threads=LentThreads(capacity, executor, grant, thread_came_back),
        bridge=bridge,
        clock=clock,
        max_bytes=order.max_payload_bytes,
    )


class WorkOfNode:
    """`sqlbuild.interfaces.node_work.NodeWork`."""

    def __init__(
        self,
        services: WorkServices,
        node: Node,
        attempt: int,
        progress: Callable[[float, float | None, str | None], None],
    ) -> None:
        self._services = services
        self._node = node
        self._attempt = attempt
        self._progress = progress
        self._pools = PoolsOfNode(services.gate, node, _pools_of(node))
        self._open_maps: set[BackgroundMap] = set()
        self._ended_keys: dict[str, set[str]] = {}
        self._map_is_shown = False
        self._over = False

    # -- pools ------------------------------------------------------------------------------------------------------

    async def take_pools(self, names: tuple[str, ...], within: tuple[int, ...] | None) -> int:
        return await take_pools_in_map(self._pools.take, names, within)

    def leave_pools(self, block: int, wait: float | None) -> None:
        if self._services.bridge.on_loop:
            self._pools.leave(block, wait)
            return
        try:
            self._services.bridge.call_soon(self._pools.leave, block, wait)
        except RuntimeError:  # the run is over
            return

    def now(self) -> float:
        return self._services.clock.now()

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def json_text(self, value: object, where: str) -> str:
        return plain_json_text(value, where, self._services.max_bytes) or "null"

    def checkpoints(self, scope: str) -> Mapping[str, str]:
        return self._services.checkpoints.of_node(self._node.id, scope)

    def keep(self, scope: str, entries: Sequence[tuple[str, str]]) -> None:
        if self._services.bridge.on_loop:
            self._keep(scope, entries)
        else:
            self._services.bridge.call(self._keep, scope, entries)

    def _keep(self, scope: str, entries: Sequence[tuple[str, str]]) -> None:
        if self._over:
            raise NodeError(f"{self._node.name} has ended, and with it what its ctx could do")
        self._services.checkpoints.keep(self._node, self._attempt, scope, entries)

    # -- maps -------------------------------------------------------------------------------------------------------

    def begin_map(self) -> bool:
        is_first, self._map_is_shown = not self._map_is_shown, True
        return is_first

    def end_map(self) -> None:
        self._map_is_shown = False

    def keys_of_ended_maps(self, scope: str) -> set[str]:
        return self._ended_keys.setdefault(scope, set())

    def lend_threads(self, work: Lend, at_most: int) -> Callable[[], None]:
        loan: list[LoanRequest] = []
        bridge = self._services.bridge
        try:
            bridge.call_soon(lambda: loan.append(self._services.threads.ask(work, at_most)))
        except RuntimeError:
            raise NodeCancelled from None

        def end() -> None:
            try:
                bridge.call_soon(lambda: loan[0].end())
            except RuntimeError:  # the run is over
                return

        return end

    def refuse_when_stopping(self) -> None:
        if not self._services.bridge.is_open:
            raise NodeCancelled

    def map_async(self, order: MapOrder) -> FanOut:
        return FanOut(self, self._progress, order, self._services.bridge, self._open_maps)

    # -- the end ----------------------------------------------------------------------------------------------------

    @property
    def must_be_closed(self) -> bool:
        return bool(self._open_maps)

    async def close(self) -> None:
        """End maps that are read by nobody any more."""
        for stream in tuple(self._open_maps):
            await stream.aclose()

    def end(self, capacity: Capacity[Waiter], need: Need) -> None:
        """The attempt has ended: give back what the node itself holds. Slots that are lent come back with their blocks."""
        self._over = True
        self._pools.end()
        if self._pools.lender is None:
            capacity.give_back(need)
        else:
            capacity.give_back_lending(need, self._pools.lender)


def _pools_of(node: Node) -> tuple[str, ...]:
    declaration = node.declaration
    if isinstance(declaration, PythonNode):
        return declaration.declared.pools
    return declaration.pools if isinstance(declaration, Model | Seed | UnitTest | Audit) else ()
