"""Runs a plan: one task group, long-lived workers, and a pure scheduler that says what may start.

execute_plan
  _Execution.run            `node_flow.py` starts the nodes and takes how they end
  _Execution.stop           a signal or --fail-fast: cancel, interrupt, wait for what still runs up to the grace time
  _Execution.try_to_conclude  everything is written, the run's own record too
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio
from anyio.abc import TaskGroup

from sqlbuild.domain.events import RunStopping, RunWarning
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import NodeResult, RunResult
from sqlbuild.errors import EngineError
from sqlbuild.runner.alarms import Alarms
from sqlbuild.runner.freed_memory import give_freed_memory_back
from sqlbuild.runner.ledger import Ledger, conclude_run
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.node_flow import NodeFlow
from sqlbuild.runner.providing import make_providing
from sqlbuild.runner.run_facts import CANCELLATION, run_result, run_started
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.runner.run_parts import results_from_outside
from sqlbuild.runner.stop_signals import stop_signals


async def execute_plan(plan: Plan, order: RunOrder, services: RunServices) -> RunResult:
    """Run every step of `plan` and return how each ended. Raises EngineError if results cannot be kept."""
    stored = await results_from_outside(plan, order, services.store)
    if order.handle_signals:
        give_freed_memory_back()
    started_at = services.clock.now()
    execution = _Execution(plan, order, services, stored, started_at)
    services.publish(run_started(plan, order, started_at))
    async with anyio.create_task_group() as background:
        background.start_soon(execution.bridge.run)
        background.start_soon(execution.alarms.run)
        background.start_soon(execution.ledger.keep_writing)
        background.start_soon(execution.abandon_what_never_ends)
        if order.handle_signals:
            bridge = execution.bridge
            await background.start(stop_signals, bridge.call_soon, execution.stop, execution.leave, order.grace)
        if services.stop_asked is not None:
            background.start_soon(execution.stop_when, services.stop_asked)
        if services.target_lost is not None:
            background.start_soon(execution.fail_when, services.target_lost)
        if execution.providing is not None:
            execution.providing.open(background)
        await execution.run()
        # The signals are still heard: one that comes now must not interrupt the writing.
        await execution.try_to_conclude()
        background.cancel_scope.cancel()
    if execution.engine_error is not None:
        raise execution.engine_error
    assert execution.result is not None
    return execution.result


class _Execution:
    """The state of one run. All of it belongs to the event loop's thread."""

    def __init__(
        self,
        plan: Plan,
        order: RunOrder,
        services: RunServices,
        stored: Mapping[NodeId, NodeResult],
        started_at: float,
    ) -> None:
        self.plan = plan
        self.order = order
        self.services = services
        self.started_at = started_at
        self.stopped_by: str | None = None
        self.engine_error: EngineError | None = None
        self.result: RunResult | None = None
        self.bridge = LoopBridge()
        self.alarms = Alarms(services.clock)
        self.ledger = Ledger(services, self._engine_failed)
        self.providing = make_providing(plan, order, services, self.bridge.call_soon)
        self._nodes = NodeFlow(
            plan,
            order,
            services,
            stored,
            bridge=self.bridge,
            alarms=self.alarms,
            ledger=self.ledger,
            providing=self.providing,
            stop_run=self.stop,
            stuck=self._stuck,
            failed=self._engine_failed,
        )
        self._tasks: TaskGroup | None = None
        self._grace_ends = 0.0
        self._grace_is_over = anyio.Event()
        self._over = False

    # -- the run ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        nodes = self._nodes
        try:
            await self._run_nodes()
            await nodes.drop_staged()
            if self.stopped_by is not None:
                await nodes.wait_for_threads(self._grace_ends)
                await nodes.discard_loads()
                nodes.settle()
        finally:
            await self._close_providers()
            self._over = True
            await nodes.close()

    async def _run_nodes(self) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            await self._nodes.run(tasks)
            if self._nodes.some_are_overdue:
                tasks.cancel_scope.cancel()
                self._grace_is_over.set()
        self._tasks = None
        self._nodes.tasks_ended()

    async def _close_providers(self) -> None:
        if self.providing is not None:
            with anyio.CancelScope(shield=True):
                await self.providing.close(self._grace_is_over)

    async def try_to_conclude(self) -> None:
        """Write everything that is not written yet; afterwards there is a `result` or an `engine_error`."""
        await self.ledger.flush()
        if self.engine_error is None and self.result is None:
            try:
                await self._conclude()
            except EngineError as error:
                self.engine_error = error

    async def _conclude(self) -> None:
        if self.services.logs is not None:
            self.services.logs.flush()
        if self.order.handle_signals:
            give_freed_memory_back()
        result = run_result(
            self.plan,
            self.ledger.results,
            run_id=self.order.run_id,
            started_at=self.started_at,
            finished_at=self.services.clock.now(),
            stopped_by=self.stopped_by,
            records=self.ledger.texts,
            left_running=tuple(self._nodes.left_running),
            dry_run=self.order.dry_run,
        )
        await conclude_run(result, self.services)
        self.result = result
        self._nodes.conclude()

    # -- stopping ---------------------------------------------------------------------------------------------------

    def stop(self, cause: str) -> None:
        """Start nothing more, cancel what can be cancelled."""
        if self.stopped_by is not None or self._over:
            return
        self.stopped_by = cause
        clock = self.services.clock
        self.services.publish(RunStopping(clock.now(), cause, self.order.grace))
        self.alarms.clear()
        self._grace_ends = clock.monotonic() + self.order.grace
        self.alarms.at(self._grace_ends, self._grace_is_over.set)
        self._nodes.stop()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def _stuck(self) -> None:
        self.stop("a node that does not end")
        self._grace_is_over.set()

    def _engine_failed(self, error: EngineError) -> None:
        self.engine_error = self.engine_error or error
        self.stop("engine error")

    async def stop_when(self, asked: Callable[[], Awaitable[object]]) -> None:
        await asked()
        self.stop(CANCELLATION)

    async def fail_when(self, lost: Callable[[], Awaitable[EngineError]]) -> None:
        self._engine_failed(await lost())

    def leave(self, exit_code: int) -> None:
        """The second signal: whatever still runs is left behind."""
        try:
            self._nodes.leave_running()
        finally:
            self._nodes.kill_processes()
            self.services.leave_now(exit_code)

    async def abandon_what_never_ends(self) -> None:
        """Async code can refuse to be cancelled: after the grace time the run ends without it."""
        await self._grace_is_over.wait()
        if self._tasks is None:
            return
        self._nodes.leave_running()
        self._nodes.settle()
        await self._close_providers()
        self._over = True
        await self.try_to_conclude()
        if self.result is not None:
            self.services.abandon(self.result)
        elif self.engine_error is not None:
            self.services.publish(RunWarning(self.services.clock.now(), str(self.engine_error)))
            self.services.leave_now(self.engine_error.exit_code)
