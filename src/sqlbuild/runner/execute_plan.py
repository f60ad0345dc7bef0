"""Runs a plan: one task group, long-lived workers, and a pure scheduler that says what may start.

execute_plan
  _Execution.begin          what has no upstream is ready
  _Execution._grant         slots are taken, attempts start
    workers                   async nodes and SQL, on the event loop, one worker per node that waits
    executor.submit           `def` nodes, on threads
  _Execution._attempt_ended slot back; waits for gates, retried later, or recorded and told to the scheduler
  _Execution.stop           a signal or --fail-fast: cancel, interrupt, wait for what still runs up to the grace time
  _Execution.try_to_conclude  everything is written, the run's own record too
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from sqlbuild.authoring.pool_blocks import begin_outside_of_blocks
from sqlbuild.domain.events import (
    NodeRetrying,
    NodeStaged,
    NodeStarted,
    RunStarted,
    RunStopping,
    RunWarning,
)
from sqlbuild.domain.ids import PYTHON_KINDS, NodeId
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import FAILURES, ErrorFacts, NodeResult, RunResult, Status
from sqlbuild.errors import EngineError, WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.runner.alarms import Alarms
from sqlbuild.runner.attempts import (
    Attempt,
    close_session,
    delay_before_next,
    is_isolated,
    lane_of,
    limits_of,
    run_async,
    run_sync,
    too_late,
)
from sqlbuild.runner.blocked_loop import judged
from sqlbuild.runner.capacity import Lane, Need, need_of, pool_key
from sqlbuild.runner.connection_slots import ConnectionSlots
from sqlbuild.runner.gates import Gated
from sqlbuild.runner.kinds.check import status_of_error
from sqlbuild.runner.ledger import Ledger
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.loop_watchdog import LoopWatchdog
from sqlbuild.runner.node_session import RunningNode
from sqlbuild.runner.node_work import begin_work
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised, Staged, WouldRun
from sqlbuild.runner.providing import make_providing
from sqlbuild.runner.records import Records
from sqlbuild.runner.rehearsal import Rehearsal
from sqlbuild.runner.run_facts import CANCELLATION, run_result
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.runner.run_parts import (
    make_capacity,
    make_environment,
    make_gates,
    make_isolation,
    make_scheduler,
    make_sql_nodes,
    results_from_outside,
)
from sqlbuild.runner.scheduler import Command, Promote, Ready, Reject, Settle
from sqlbuild.runner.stop_signals import stop_signals
from sqlbuild.runner.time_limits import TimeLimit, TimeLimits
from sqlbuild.runner.turns import Turns
from sqlbuild.runner.workers import Workers

_THREADS = Lane.THREADS.value


async def execute_plan(plan: Plan, order: RunOrder, services: RunServices) -> RunResult:
    """Run every step of `plan` and return how each ended. Raises EngineError if results cannot be kept."""
    stored = await results_from_outside(plan, order, services.store)
    started_at = services.clock.now()
    execution = _Execution(plan, order, services, stored, started_at)
    services.publish(
        RunStarted(
            at=started_at,
            run_id=order.run_id,
            target=plan.target,
            plan=plan,
            lanes={**order.limits, **{pool_key(name): slots for name, slots in order.pools.items()}},
            dry_run=order.dry_run,
        )
    )
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
        # Looked up once, as they are called for every node.
        self._now, self._monotonic = services.clock.now, services.clock.monotonic
        self._publish, self._write_start = services.publish, services.journal.started
        self.started_at = started_at
        self.stopped_by: str | None = None
        self.engine_error: EngineError | None = None
        self.result: RunResult | None = None
        self.left_running: list[NodeId] = []
        self.bridge = LoopBridge()
        self.alarms = Alarms(services.clock)
        self.ledger = Ledger(services, self._engine_failed)
        self.results = self.ledger.results
        self._gates = make_gates(plan)
        self._scheduler = make_scheduler(plan, self._gates)
        self._capacity = make_capacity(order, services.clock)
        begin_outside_of_blocks()
        self._executor = services.make_executor(order.limits[Lane.THREADS.value], self.bridge.call_soon)
        self._isolation = make_isolation(plan, order, services, self.bridge)
        self._node_work = begin_work(
            order,
            services,
            self._capacity,
            alarms=self.alarms,
            bridge=self.bridge,
            executor=self._executor,
            grant=self._grant,
            failed=self._engine_failed,
            thread_came_back=self._check_threads,
        )
        self.providing = make_providing(plan, order, services, self.bridge.call_soon)
        self._environment = make_environment(
            plan,
            order,
            services,
            results=self.results,
            stored=stored,
            slots=ConnectionSlots(self._capacity, services.warehouse, self._grant),
            bridge=self.bridge,
            work=self._node_work,
            providing=self.providing,
        )
        self._sql_nodes = make_sql_nodes(
            plan, order, services, self.results, self._gates, self._environment, self._node_work.checkpoints
        )
        self._turns = Turns(self._capacity, services.clock, self._grant)
        self._rehearsal = Rehearsal(plan, services.warehouse) if order.dry_run else None
        self._needs: dict[tuple[Lane, tuple[str, ...]], Need] = {}
        self._ready_at: dict[NodeId, float] = {}
        self._records = Records(plan, order.run_id, order.root, services.clock, services.logs, services.masker)
        self._running: dict[NodeId, Attempt] = {}
        self._staged: dict[NodeId, Attempt] = {}
        """Their first part has ended, their second one has not begun."""
        self._workers = Workers(
            services.clock,
            begin=self._begin,
            call=self._call,
            ended=self._worker_ended,
            settle=self.ledger.write_out,
            cancelled=functools.partial(self.stop, CANCELLATION),
        )
        self._never_begun: list[NodeId] = []
        self._open_loads: list[RunningNode] = []
        self._nodes: TaskGroup | None = None
        self._idle = anyio.Event()
        self._threads_idle = anyio.Event()
        self._watchdog = LoopWatchdog(
            seconds=order.blocked_loop_seconds,
            root=order.root,
            ring=self.bridge.ring,
            running=lambda: list(self._running.values()),
            publish=services.publish,
            now=services.clock.now,
        )
        self._time_limits = TimeLimits(self.alarms, services.clock, self._watchdog.stolen, order.grace)
        self._overdue: dict[NodeId, Attempt] = {}
        self._grace_ends = 0.0
        self._grace_is_over = anyio.Event()
        self._over = False

    # -- the run ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        try:
            await self._run_nodes()
            await self._gates.drop_what_is_left()
            if self.stopped_by is not None:
                await self._wait_for_threads()
                await self._discard_loads()
                self._settle_stopped()
        finally:
            await self._close_providers()
            self._over = True
            await self._isolation.end()
            self._executor.close()

    async def _discard_loads(self) -> None:
        """What `def` loaders have staged: being stopped, they could wait for nothing any more."""
        for session in self._open_loads:
            with anyio.CancelScope(shield=True), contextlib.suppress(WarehouseError):
                await session.discard_load()

    async def _close_providers(self) -> None:
        if self.providing is not None:
            with anyio.CancelScope(shield=True):
                await self.providing.close(self._grace_is_over)

    async def _run_nodes(self) -> None:
        async with anyio.create_task_group() as nodes:
            self._nodes = nodes
            self._workers.open(nodes)
            self.bridge.open(nodes)
            if self.stopped_by is None:
                self._apply(self._scheduler.begin())
                self._check_idle()
                self._watchdog.start()
                try:
                    await self._idle.wait()
                finally:
                    self._watchdog.stop()
                    self.bridge.close()
                if self._overdue:
                    nodes.cancel_scope.cancel()
                    self._grace_is_over.set()
        self._nodes = None
        self._workers.close()

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
        result = run_result(
            self.plan,
            self.results,
            run_id=self.order.run_id,
            started_at=self.started_at,
            finished_at=self.services.clock.now(),
            stopped_by=self.stopped_by,
            records=self.ledger.texts,
            left_running=tuple(self.left_running),
            dry_run=self.order.dry_run,
        )
        await self.ledger.conclude(result)
        self.result = result

    # -- stopping ---------------------------------------------------------------------------------------------------

    def stop(self, cause: str) -> None:
        """Start nothing more, cancel what can be cancelled."""
        if self.stopped_by is not None or self._over:
            return
        self.stopped_by = cause
        self._scheduler.stop()
        self.services.publish(RunStopping(self.services.clock.now(), cause, self.order.grace))
        self.alarms.clear()
        self._node_work.gate.alarms_are_cleared()
        self._grace_ends = self.services.clock.monotonic() + self.order.grace
        self.alarms.at(self._grace_ends, self._grace_is_over.set)
        for attempt in self._workers.stop():
            self._never_began(attempt)
        self._isolation.stop()
        if self._nodes is not None:
            self._nodes.cancel_scope.cancel()

    async def stop_when(self, asked: Callable[[], Awaitable[object]]) -> None:
        await asked()
        self.stop(CANCELLATION)

    async def fail_when(self, lost: Callable[[], Awaitable[EngineError]]) -> None:
        self._engine_failed(await lost())

    def leave(self, exit_code: int) -> None:
        """The second signal: whatever still runs is left behind."""
        try:
            self._leave_running()
        finally:
            self._isolation.kill()
            self.services.leave_now(exit_code)

    async def abandon_what_never_ends(self) -> None:
        """Async code can refuse to be cancelled: after the grace time the run ends without it."""
        await self._grace_is_over.wait()
        if self._nodes is None:
            return
        self._leave_running()
        self._settle_stopped()
        await self._close_providers()
        self._over = True
        await self.try_to_conclude()
        if self.result is not None:
            self.services.abandon(self.result)
        elif self.engine_error is not None:
            self.services.publish(RunWarning(self.services.clock.now(), str(self.engine_error)))
            self.services.leave_now(self.engine_error.exit_code)

    async def _wait_for_threads(self) -> None:
        if self._executor.in_flight:
            with anyio.move_on_after(max(0.0, self._grace_ends - self.services.clock.monotonic())):
                await self._threads_idle.wait()
        self._leave_running()

    def _leave_running(self) -> None:
        for attempt in list(self._running.values()):
            attempt.end()
            self._running.pop(attempt.node.id, None)
            self.left_running.append(attempt.node.id)
            what = "its thread" if attempt.need[0] == _THREADS else "it"
            self._end(
                self._records.of_attempt(
                    attempt,
                    Status.UNKNOWN,
                    warnings=(f"{what} still ran when the run ended",),
                    log=self._records.log_of(attempt),
                )
            )

    def _never_began(self, attempt: Attempt) -> None:
        self._capacity.give_back(attempt.need)
        self._never_begun.append(attempt.node.id)

    def _settle_stopped(self) -> None:
        self._settle_gated()
        for node, history in self._records.history.items():
            if node not in self.results:
                # It was waiting to be tried again.
                begun = self.order.attempts.get(node, 0) + len(history.errors)
                facts = {"attempt": begun, "retried": tuple(history.errors)}
                self.ledger.record(self._records.of_node(node, Status.CANCELLED, **facts))
        for command in self._scheduler.settle_rest([*self._never_begun, *self._capacity.drain()]):
            assert isinstance(command, Settle)
            if command.node not in self.results:
                self.ledger.record(self._records.of_node(command.node, command.status))

    def _settle_gated(self) -> None:
        """Models that had begun, and wait for their gates or for a slot to go on."""
        for node, attempt in self._staged.items():
            gated = self._gates.of(node)
            if gated is None or node in self.results:
                continue
            gated.rejected_by = tuple(
                gate for gate in gated.gates if gate in self.results and self.results[gate].status in FAILURES
            )
            attempt.started = self._monotonic() - gated.worked
            if gated.rejected_by:
                facts = {"error": self._records.describe(attempt, gated.refusal())}
                self.ledger.record(self._records.of_attempt(attempt, Status.FAILED, **facts))
            else:
                self.ledger.record(self._records.of_attempt(attempt, Status.CANCELLED))

    def _check_idle(self) -> None:
        if len(self.results) == len(self.plan.steps):
            self._idle.set()
        elif self._overdue and not self._can_go_on():
            # What has not started yet waits for slots that a node will not give back.
            self.stop("a node that does not end")
            self._grace_is_over.set()

    def _can_go_on(self) -> bool:
        waits_to_be_retried = any(node not in self.results for node in self._records.history)
        return bool(self._running or self._workers.waiting or waits_to_be_retried)

    def _engine_failed(self, error: EngineError) -> None:
        self.engine_error = self.engine_error or error
        self.stop("engine error")

    # -- starting ---------------------------------------------------------------------------------------------------

    def _apply(self, commands: list[Command]) -> None:
        now = self._monotonic() if commands else 0.0
        for command in commands:
            match command:
                case Ready(node):
                    self._enqueue(node, now)
                case Promote(node):
                    self._enqueue(node, now)
                case Reject(node, because_of):
                    gated = self._gates.of(node)
                    assert gated is not None
                    gated.rejected_by = because_of
                    self._enqueue(node, now)
                case Settle(node, status, because_of):
                    self.ledger.record(self._records.of_node(node, status, because_of=because_of))
        self._grant()

    def _enqueue(self, node: NodeId, now: float) -> None:
        step = self.plan.steps[node]
        self._ready_at[node] = now
        shape = lane_of(step.node), limits_of(step.node).pools
        need = self._needs.get(shape)
        if need is None:
            need = self._needs[shape] = need_of(*shape)
        self._capacity.add(node, need, step.priority)

    def _grant(self) -> None:
        if self.stopped_by is not None:
            # Only statements still get their slot: nodes that end may have to clean up.
            self._never_begun += self._capacity.drain()
        nodes, statements = self._capacity.grant()
        for node, need in nodes:
            self._start(node, need)
        for statement in statements:
            statement.granted.set()
        if self._capacity.due is not None or self._node_work.threads.out:
            self._node_work.after_grant(self._capacity.due)

    def _start(self, node: NodeId, need: Need) -> None:
        gated = self._gates.of(node)
        staged = self._staged.get(node) if gated is not None else None
        if gated is not None and staged is not None:
            self._go_on(gated, staged)
            return
        step = self.plan.steps[node]
        history = self._records.history.get(node)
        number = len(history.errors) + 1 if history is not None else 1
        if self.order.attempts:
            number += self.order.attempts.get(node, 0)
        is_python = step.node.kind in PYTHON_KINDS
        session = RunningNode(self._environment, step.node, number) if is_python else None
        attempt = Attempt(
            step=step, node=step.node, number=number, need=need, session=session, history=history, gated=gated
        )
        if not is_python:
            attempt.give_way = functools.partial(self._turns.give_way, attempt)
        if self.stopped_by is not None:
            self._never_began(attempt)
        elif need[0] == _THREADS:
            if self._begin(attempt):
                work: Callable[[], Outcome]
                if self._rehearsal is not None and not self._rehearsal.calls(step.node):
                    work = functools.partial(WouldRun, step.why)
                elif is_isolated(step.node):
                    work = functools.partial(self._isolation.run, attempt)
                else:
                    work = functools.partial(run_sync, attempt, self.order.max_payload_bytes)
                self._executor.submit(work, functools.partial(self._thread_ended, attempt))
        else:
            self._workers.add(attempt)

    def _go_on(self, gated: Gated, attempt: Attempt) -> None:
        """The second part of an attempt."""
        if self.stopped_by is not None:
            self._never_began(attempt)
            return
        attempt.gated, attempt.goes_on = gated, True
        self._workers.add(attempt)

    def _begin(self, attempt: Attempt) -> bool:
        """Say that user code starts now; False if that could not be written down."""
        node, history = attempt.node, attempt.history
        if attempt.goes_on:
            assert attempt.gated is not None
            del self._staged[node.id]
            # What its gates have said is written down before it takes effect; the time of waiting is none of its work.
            self.ledger.write_out()
            attempt.started = self._monotonic() - attempt.gated.worked
            self._running[node.id] = attempt
            self._publish(NodeStarted(self._now(), node.id, node.kind, node.name, attempt.number))
            return True
        at = attempt.started_at = self._now()
        attempt.started = self._monotonic()
        attempt.waited = attempt.started - self._ready_at[node.id] if history is None else history.waited
        try:
            self._write_start(node.id, attempt.number, at)
        except EngineError as error:
            self._never_began(attempt)
            self._engine_failed(error)
            return False
        self._running[node.id] = attempt
        failpoint("node.started")
        self._publish(NodeStarted(at, node.id, node.kind, node.name, attempt.number))
        return True

    def _call(self, attempt: Attempt, guards_scopes: bool) -> Awaitable[Outcome]:
        """Of what is awaited: an async node or a SQL model."""
        if self._rehearsal is not None and not self._rehearsal.calls(attempt.node):
            return self._rehearsal.outcome_of(attempt.node)
        return run_async(attempt, self.order, self._sql_nodes, self._limit, guard_scopes=guards_scopes)

    # -- endings ----------------------------------------------------------------------------------------------------

    def _thread_ended(self, attempt: Attempt, outcome: object) -> None:
        if attempt.over:
            return
        assert attempt.session is not None
        assert isinstance(outcome, Outcome)
        if attempt.session.holds_connection and self.stopped_by is None:
            self.bridge.start(functools.partial(self._close_and_end, attempt, outcome))
        else:
            if attempt.session.has_open_load:
                self._open_loads.append(attempt.session)
            self._attempt_ended(attempt, outcome)
        self._check_threads()

    def _check_threads(self) -> None:
        if self.stopped_by is not None and not self._executor.in_flight:
            self._threads_idle.set()

    async def _close_and_end(self, attempt: Attempt, outcome: Outcome) -> None:
        self._attempt_ended(attempt, await close_session(attempt, outcome))

    def _limit(self, attempt: Attempt, seconds: float) -> TimeLimit:
        def own_share() -> float:
            return attempt.seconds_of_blocks() - attempt.seconds_for_others(self._monotonic())

        return self._time_limits.scope(seconds, own_share, functools.partial(self._is_overdue, attempt, seconds))

    def _is_overdue(self, attempt: Attempt, limit: float) -> None:
        """Cancelled at its time limit, it goes on: its end is written now, and its slots are its own while it lasts."""
        if attempt.over or self.stopped_by is not None:
            return
        attempt.end()
        node = attempt.node
        self._running.pop(node.id, None)
        self._overdue[node.id] = attempt
        self.left_running.append(node.id)
        error = too_late(limit)
        warning = f"it did not end within {self.order.grace:g} s of being cancelled, and still ran"
        facts = {"error": self._records.describe(attempt, error), "warnings": (warning,)}
        self._end(self._records.of_attempt(attempt, status_of_error(node, error), **facts))
        self._check_idle()

    def _ended_at_last(self, attempt: Attempt) -> None:
        if self._overdue.pop(attempt.node.id, None) is not None and self.result is None:
            self.left_running.remove(attempt.node.id)
            self._capacity.give_back(attempt.held)
            self._grant()

    def _worker_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """The record goes into the journal with that of the next start, or when the worker finds nothing to do."""
        self.ledger.at_once = False
        try:
            self._attempt_ended(attempt, outcome)
        finally:
            self.ledger.at_once = True

    def _attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.over:
            if isinstance(outcome, Staged):
                self._gates.came_too_late(attempt.node, outcome)
            self._ended_at_last(attempt)
            return
        failpoint("node.returned")
        if attempt.blocks is not None and self.order.strict_async:
            outcome = judged(attempt, outcome)
        if attempt.session is not None:
            attempt.session.over = True
        node = attempt.node
        self._running.pop(node.id, None)
        work = attempt.session.begun_work if attempt.session is not None else None
        if work is None:
            self._capacity.give_back(attempt.held)
        else:
            work.end(self._capacity, attempt.need)
        match outcome:
            case Staged():
                self._wait_for_gates(attempt, outcome)
            case Raised(error, facts):
                self._failed(attempt, error, facts)
            case Cancelled(error) if self.stopped_by is None:
                self._failed(attempt, error)
            case _:
                self._end(self._records.of_outcome(attempt, outcome))
        if node.id in self.results:
            self._node_work.checkpoints.forget(node.id)
        self._check_idle()

    def _wait_for_gates(self, attempt: Attempt, staged: Staged) -> None:
        node = attempt.node
        gated = self._gates.add(node, staged, self._monotonic() - attempt.started)
        self._staged[node.id] = attempt
        self._publish(NodeStaged(self._now(), node.id, node.name, attempt.number, gated.gates))
        self._apply(self._scheduler.staged(node.id))

    def _failed(self, attempt: Attempt, error: BaseException, told: ErrorFacts | None = None) -> None:
        node, now = attempt.node, self.services.clock.monotonic()
        if self.services.on_error is not None:
            self.services.on_error(node.id, error)
        facts = self._records.describe(attempt, error, told)
        wait = self._node_work.wait_asked_by(error, node)
        if self.stopped_by is None:
            delay = delay_before_next(attempt, error, now=now, draw=self.services.jitter(), wait=wait)
            if delay is not None:
                self._retry_later(attempt, facts, delay)
                return
        log = self._records.log_failure(attempt, facts)
        self._end(self._records.of_attempt(attempt, status_of_error(node, error), error=facts, log=log))

    def _retry_later(self, attempt: Attempt, facts: ErrorFacts, delay: float) -> None:
        node, at = attempt.node, self.services.clock.now()
        self._records.remember_failure(attempt, facts)
        self._records.log_failure(attempt, facts, retry_in=delay)
        try:
            self.services.journal.attempt_failed(node.id, attempt.number, at, f"{facts.type}: {facts.message}")
        except EngineError as error:
            self._engine_failed(error)
            return
        self.services.publish(NodeRetrying(at, node.id, node.name, attempt.number, delay, facts))
        self.alarms.at(self.services.clock.monotonic() + delay, functools.partial(self._try_again, node.id))
        self._grant()

    def _try_again(self, node: NodeId) -> None:
        self._enqueue(node, self._monotonic())
        self._grant()
        self._check_idle()

    def _end(self, result: NodeResult) -> None:
        self.ledger.record(result)
        if self.order.fail_fast and result.status in FAILURES:
            # Told before it is known what follows: nothing of that may start any more.
            self.stop("fail-fast")
        self._apply(self._scheduler.finished(result.node_id, result.status, result.skip_mode))
