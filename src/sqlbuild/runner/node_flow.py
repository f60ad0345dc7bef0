"""What a run does with each of its nodes, from being ready to its end.

NodeFlow.run                what has no upstream is ready
NodeFlow._grant             slots are taken, attempts start
  workers                     async nodes and SQL, on the event loop, one worker per node that waits
  executor.submit             `def` nodes, on threads
NodeFlow._attempt_ended     slot back; waits for gates, retried later, or recorded and told to the scheduler
NodeFlow.settle             of a run that was stopped: how all that did not end by itself is recorded
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping

import anyio
from anyio.abc import TaskGroup

from sqlbuild.authoring.pool_blocks import begin_outside_of_blocks
from sqlbuild.domain.events import NodeRetrying, NodeStaged, NodeStarted
from sqlbuild.domain.ids import PYTHON_KINDS, NodeId
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import FAILURES, ErrorFacts, NodeResult, Status
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
from sqlbuild.runner.capacity import Lane, Need, need_of
from sqlbuild.runner.connection_slots import ConnectionSlots
from sqlbuild.runner.gates import Gated
from sqlbuild.runner.kinds.check import status_of_error
from sqlbuild.runner.ledger import Ledger
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.loop_watchdog import LoopWatchdog
from sqlbuild.runner.node_session import RunningNode
from sqlbuild.runner.node_work import begin_work
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised, Returned, Staged, WouldRun
from sqlbuild.runner.providing import Providing
from sqlbuild.runner.records import Records
from sqlbuild.runner.rehearsal import Rehearsal
from sqlbuild.runner.run_facts import CANCELLATION
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.runner.run_parts import (
    make_capacity,
    make_environment,
    make_gates,
    make_isolation,
    make_scheduler,
    make_sql_nodes,
)
from sqlbuild.runner.scheduler import Command, Promote, Ready, Reject, Settle
from sqlbuild.runner.settling import settle_retried, settle_staged
from sqlbuild.runner.time_limits import TimeLimit, TimeLimits
from sqlbuild.runner.turns import Turns
from sqlbuild.runner.workers import Workers

_THREADS = Lane.THREADS.value


class NodeFlow:
    """All of it belongs to the event loop's thread.

    `stop_run` is told why the run must be stopped, `stuck` that what is left waits for a node that does not end, and
    `failed` what the engine could not do.
    """

    def __init__(
        self,
        plan: Plan,
        order: RunOrder,
        services: RunServices,
        stored: Mapping[NodeId, NodeResult],
        *,
        bridge: LoopBridge,
        alarms: Alarms,
        ledger: Ledger,
        providing: Providing | None,
        stop_run: Callable[[str], None],
        stuck: Callable[[], None],
        failed: Callable[[EngineError], None],
    ) -> None:
        self._order = order
        self._services = services
        self._bridge = bridge
        self._alarms = alarms
        self._ledger = ledger
        self._results = ledger.results
        self._stop_run, self._stuck, self._engine_failed = stop_run, stuck, failed
        # Looked up once, as they are used for every node.
        self._steps, self._attempts_before = plan.steps, order.attempts
        self._now, self._monotonic = services.clock.now, services.clock.monotonic
        self._publish, self._write_start = services.publish, services.journal.started
        self._stopped = False
        self._over = False
        self._gates = make_gates(plan)
        self._scheduler = make_scheduler(plan, self._gates)
        self._capacity = make_capacity(order, services.clock)
        begin_outside_of_blocks()
        self._executor = services.make_executor(order.limits[Lane.THREADS.value], bridge.call_soon)
        self._isolation = make_isolation(plan, order, services, bridge)
        self._node_work = begin_work(
            order,
            services,
            self._capacity,
            alarms=alarms,
            bridge=bridge,
            executor=self._executor,
            grant=self._grant,
            failed=failed,
            thread_came_back=self._check_threads,
        )
        environment = make_environment(
            plan,
            order,
            services,
            results=self._results,
            stored=stored,
            slots=ConnectionSlots(self._capacity, services.warehouse, self._grant),
            bridge=bridge,
            work=self._node_work,
            providing=providing,
        )
        self._environment = environment
        self._sql_nodes = make_sql_nodes(
            plan, order, services, self._results, self._gates, environment, self._node_work.checkpoints
        )
        self._turns = Turns(self._capacity, services.clock, self._grant)
        self._rehearsal = Rehearsal(plan, services.warehouse) if order.dry_run else None
        self._records = Records(plan, order.run_id, order.root, services.clock, services.logs, services.masker)
        self._history = self._records.history
        self._workers = Workers(
            services.clock,
            begin=self._begin,
            call=self._call,
            ended=self._worker_ended,
            settle=ledger.write_out,
            cancelled=functools.partial(stop_run, CANCELLATION),
        )
        self._watchdog = LoopWatchdog(
            seconds=order.blocked_loop_seconds,
            root=order.root,
            ring=bridge.ring,
            running=lambda: list(self._running.values()),
            publish=services.publish,
            now=services.clock.now,
        )
        self._time_limits = TimeLimits(alarms, services.clock, self._watchdog.stolen, order.grace)
        self._needs: dict[tuple[Lane, tuple[str, ...]], Need] = {}
        self._began = 0.0
        """On the monotonic clock; what waits for nothing is ready from then on."""
        self._ready_at: dict[NodeId, float] = {}
        """Of the other nodes that wait for their first start."""
        self._running: dict[NodeId, Attempt] = {}
        self._staged: dict[NodeId, Attempt] = {}
        """Their first part has ended, their second one has not begun."""
        self._overdue: dict[NodeId, Attempt] = {}
        self._never_begun: list[NodeId] = []
        self._open_loads: list[RunningNode] = []
        self.left_running: list[NodeId] = []
        """What was still running when its end was written."""
        self._idle = anyio.Event()
        self._threads_idle = anyio.Event()

    # -- the life of a run ------------------------------------------------------------------------------------------

    async def run(self, tasks: TaskGroup) -> None:
        """Start whatever may start, in `tasks`, until every node has ended. Of a run that is stopped already, nothing."""
        self._workers.open(tasks)
        self._bridge.open(tasks)
        if self._stopped:
            return
        self._began = self._monotonic()
        for command in self._scheduler.begin():
            self._enqueue(command.node)
        self._grant()
        self._check_idle()
        self._watchdog.start()
        try:
            await self._idle.wait()
        finally:
            self._watchdog.stop()
            self._bridge.close()

    @property
    def some_are_overdue(self) -> bool:
        """Whether nodes still run whose end is written, as their time limit was over."""
        return bool(self._overdue)

    def tasks_ended(self) -> None:
        self._workers.close()

    def stop(self) -> None:
        """Start nothing more. Whoever calls it cancels the tasks and has cleared the alarms."""
        self._stopped = True
        self._scheduler.stop()
        self._node_work.gate.alarms_are_cleared()
        for attempt in self._workers.stop():
            self._never_began(attempt)
        self._isolation.stop()

    async def wait_for_threads(self, until: float) -> None:
        """At most until then, on the monotonic clock; what still runs is left behind."""
        if self._executor.in_flight:
            with anyio.move_on_after(max(0.0, until - self._monotonic())):
                await self._threads_idle.wait()
        self.leave_running()

    async def drop_staged(self) -> None:
        """What no gate has decided on."""
        await self._gates.drop_what_is_left()

    async def discard_loads(self) -> None:
        """What `def` loaders have staged: being stopped, they could wait for nothing any more."""
        for session in self._open_loads:
            with anyio.CancelScope(shield=True), contextlib.suppress(WarehouseError):
                await session.discard_load()

    def kill_processes(self) -> None:
        self._isolation.kill()

    def conclude(self) -> None:
        """The run is written: what a node still does changes nothing any more."""
        self._over = True

    async def close(self) -> None:
        await self._isolation.end()
        self._executor.close()

    # -- what did not end by itself ---------------------------------------------------------------------------------

    def leave_running(self) -> None:
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

    def settle(self) -> None:
        """Of a stopped run: everything that did not end, ends here."""
        settle_staged(self._staged, self._gates, self._records, self._ledger, self._monotonic)
        settle_retried(self._attempts_before, self._records, self._ledger)
        for command in self._scheduler.settle_rest([*self._never_begun, *self._capacity.drain()]):
            assert isinstance(command, Settle)
            if command.node not in self._results:
                self._ledger.record(self._records.of_node(command.node, command.status))

    def _check_idle(self) -> None:
        if len(self._results) == len(self._steps):
            self._idle.set()
        elif self._overdue and not self._can_go_on():
            # What has not started yet waits for slots that a node will not give back.
            self._stuck()

    def _can_go_on(self) -> bool:
        waits_to_be_retried = any(node not in self._results for node in self._history)
        return bool(self._running or self._workers.waiting or waits_to_be_retried)

    # -- starting ---------------------------------------------------------------------------------------------------

    def _apply(self, commands: list[Command]) -> None:
        if commands:
            now = self._monotonic()
            for command in commands:
                match command:
                    case Ready(node):
                        self._ready_at[node] = now
                        self._enqueue(node)
                    case Promote(node):
                        self._enqueue(node)
                    case Reject(node, because_of):
                        gated = self._gates.of(node)
                        assert gated is not None
                        gated.rejected_by = because_of
                        self._enqueue(node)
                    case Settle(node, status, because_of):
                        self._ledger.record(self._records.of_node(node, status, because_of=because_of))
        self._grant()

    def _enqueue(self, node: NodeId) -> None:
        step = self._steps[node]
        shape = lane_of(step.node), limits_of(step.node).pools
        need = self._needs.get(shape)
        if need is None:
            need = self._needs[shape] = need_of(*shape)
        self._capacity.add(node, need, step.priority)

    def _grant(self) -> None:
        if self._stopped:
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
        if gated is not None and node in self._staged:
            self._go_on(gated, self._staged[node])
            return
        step = self._steps[node]
        compiled = step.node
        history = self._history.get(node) if self._history else None
        number = 1 if history is None else len(history.errors) + 1
        if self._attempts_before:
            number += self._attempts_before.get(node, 0)
        if compiled.kind in PYTHON_KINDS:
            attempt = Attempt(step, compiled, number, need, RunningNode(self._environment, compiled, number))
        else:
            attempt = Attempt(step, compiled, number, need, None)
            attempt.give_way = functools.partial(self._turns.give_way, attempt)
        if history is not None:
            attempt.history = history
        if gated is not None:
            attempt.gated = gated
        if self._stopped:
            self._never_began(attempt)
        elif need[0] == _THREADS:
            if self._begin(attempt):
                work: Callable[[], Outcome]
                if self._rehearsal is not None and not self._rehearsal.calls(compiled):
                    work = functools.partial(WouldRun, step.why)
                elif is_isolated(compiled):
                    work = functools.partial(self._isolation.run, attempt)
                else:
                    work = functools.partial(run_sync, attempt, self._order.max_payload_bytes)
                self._executor.submit(work, functools.partial(self._thread_ended, attempt))
        else:
            self._workers.add(attempt)

    def _go_on(self, gated: Gated, attempt: Attempt) -> None:
        """The second part of an attempt."""
        if self._stopped:
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
            self._ledger.write_out()
            attempt.started = self._monotonic() - attempt.gated.worked
            self._running[node.id] = attempt
            self._publish(NodeStarted(self._now(), node.id, node.kind, node.name, attempt.number))
            return True
        at = attempt.started_at = self._now()
        attempt.started = self._monotonic()
        ready_at = self._ready_at.pop(node.id, self._began)
        attempt.waited = attempt.started - ready_at if history is None else history.waited
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
        return run_async(attempt, self._order, self._sql_nodes, self._limit, guard_scopes=guards_scopes)

    # -- endings ----------------------------------------------------------------------------------------------------

    def _thread_ended(self, attempt: Attempt, outcome: object) -> None:
        if attempt.over:
            return
        assert attempt.session is not None
        assert isinstance(outcome, Outcome)
        if attempt.session.holds_connection and not self._stopped:
            self._bridge.start(functools.partial(self._close_and_end, attempt, outcome))
        else:
            if attempt.session.has_open_load:
                self._open_loads.append(attempt.session)
            self._attempt_ended(attempt, outcome)
        self._check_threads()

    def _check_threads(self) -> None:
        if self._stopped and not self._executor.in_flight:
            self._threads_idle.set()

    async def _close_and_end(self, attempt: Attempt, outcome: Outcome) -> None:
        self._attempt_ended(attempt, await close_session(attempt, outcome))

    def _limit(self, attempt: Attempt, seconds: float) -> TimeLimit:
        def own_share() -> float:
            return attempt.seconds_of_blocks() - attempt.seconds_for_others(self._monotonic())

        return self._time_limits.scope(seconds, own_share, functools.partial(self._is_overdue, attempt, seconds))

    def _is_overdue(self, attempt: Attempt, limit: float) -> None:
        """Cancelled at its time limit, it goes on: its end is written now, and its slots are its own while it lasts."""
        if attempt.over or self._stopped:
            return
        attempt.end()
        node = attempt.node
        self._running.pop(node.id, None)
        self._overdue[node.id] = attempt
        self.left_running.append(node.id)
        error = too_late(limit)
        warning = f"it did not end within {self._order.grace:g} s of being cancelled, and still ran"
        facts = {"error": self._records.describe(attempt, error), "warnings": (warning,)}
        self._end(self._records.of_attempt(attempt, status_of_error(node, error), **facts))
        self._check_idle()

    def _ended_at_last(self, attempt: Attempt) -> None:
        if self._overdue.pop(attempt.node.id, None) is not None and not self._over:
            self.left_running.remove(attempt.node.id)
            self._capacity.give_back(attempt.held)
            self._grant()

    def _worker_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """The record goes into the journal with that of the next start, or when the worker finds nothing to do."""
        self._ledger.at_once = False
        try:
            self._attempt_ended(attempt, outcome)
        finally:
            self._ledger.at_once = True

    def _attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.over:
            if isinstance(outcome, Staged):
                self._gates.came_too_late(attempt.node, outcome)
            self._ended_at_last(attempt)
            return
        failpoint("node.returned")
        if attempt.blocks is not None and self._order.strict_async:
            outcome = judged(attempt, outcome)
        id, session = attempt.node.id, attempt.session
        work = None
        if session is not None:
            session.over = True
            work = session.begun_work
        self._running.pop(id, None)
        if work is None:
            self._capacity.give_back(attempt.held)
        else:
            work.end(self._capacity, attempt.need)
        if isinstance(outcome, Returned):
            # As nearly all are.
            self._end(self._records.of_outcome(attempt, outcome))
        else:
            self._ended_otherwise(attempt, outcome)
        if id in self._results:
            self._node_work.checkpoints.forget(id)
        self._check_idle()

    def _ended_otherwise(self, attempt: Attempt, outcome: Outcome) -> None:
        match outcome:
            case Staged():
                self._wait_for_gates(attempt, outcome)
            case Raised(error, facts):
                self._failed(attempt, error, facts)
            case Cancelled(error) if not self._stopped:
                self._failed(attempt, error)
            case _:
                self._end(self._records.of_outcome(attempt, outcome))

    def _wait_for_gates(self, attempt: Attempt, staged: Staged) -> None:
        node = attempt.node
        gated = self._gates.add(node, staged, self._monotonic() - attempt.started)
        self._staged[node.id] = attempt
        self._publish(NodeStaged(self._now(), node.id, node.name, attempt.number, gated.gates))
        self._apply(self._scheduler.staged(node.id))

    def _failed(self, attempt: Attempt, error: BaseException, told: ErrorFacts | None = None) -> None:
        node, now = attempt.node, self._services.clock.monotonic()
        if self._services.on_error is not None:
            self._services.on_error(node.id, error)
        facts = self._records.describe(attempt, error, told)
        wait = self._node_work.wait_asked_by(error, node)
        if not self._stopped:
            delay = delay_before_next(attempt, error, now=now, draw=self._services.jitter(), wait=wait)
            if delay is not None:
                self._retry_later(attempt, facts, delay)
                return
        log = self._records.log_failure(attempt, facts)
        self._end(self._records.of_attempt(attempt, status_of_error(node, error), error=facts, log=log))

    def _retry_later(self, attempt: Attempt, facts: ErrorFacts, delay: float) -> None:
        node, at = attempt.node, self._services.clock.now()
        self._records.remember_failure(attempt, facts)
        self._records.log_failure(attempt, facts, retry_in=delay)
        try:
            self._services.journal.attempt_failed(node.id, attempt.number, at, f"{facts.type}: {facts.message}")
        except EngineError as error:
            self._engine_failed(error)
            return
        self._services.publish(NodeRetrying(at, node.id, node.name, attempt.number, delay, facts))
        self._alarms.at(self._services.clock.monotonic() + delay, functools.partial(self._try_again, node.id))
        self._grant()

    def _try_again(self, node: NodeId) -> None:
        self._enqueue(node)
        self._grant()
        self._check_idle()

    def _end(self, result: NodeResult) -> None:
        self._ledger.record(result)
        if self._order.fail_fast and result.status in FAILURES:
            # Told before it is known what follows: nothing of that may start any more.
            self._stop_run("fail-fast")
        self._apply(self._scheduler.finished(result.node_id, result.status, result.skip_mode))
