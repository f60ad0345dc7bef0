"""Runs a plan: one task group, long-lived workers, and a pure scheduler that says what may start.

execute_plan
  _Execution.begin          what has no upstream is ready
  _Execution._grant         slots are taken, attempts start
    _work                     async nodes and SQL models, on the event loop, one worker per node that waits
    executor.submit           `def` nodes, on threads
  _Execution._attempt_ended slot back; retried later, or recorded and told to the scheduler
  _Execution.stop           a signal or --fail-fast: cancel, interrupt, wait for threads up to the grace time
"""

from __future__ import annotations

import contextvars
import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Mapping

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from sqlbuild.domain.events import (
    Event,
    NodeFinished,
    NodeRetrying,
    NodeStarted,
    RunFinished,
    RunStarted,
    RunStopping,
)
from sqlbuild.domain.ids import PYTHON_KINDS, NodeId
from sqlbuild.domain.nodes import Asset, Task
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import ErrorFacts, NodeResult, RunResult, Status
from sqlbuild.errors import EngineError, NodeTimeout, WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.executor import Executor
from sqlbuild.interfaces.node_session import NodeFacts
from sqlbuild.interfaces.state_store import Journal, StateStore
from sqlbuild.interfaces.warehouse import Warehouse
from sqlbuild.runner.alarms import Alarms
from sqlbuild.runner.attempts import Attempt, lane_of, limits_of, retry_delay, run_async, run_sync
from sqlbuild.runner.capacity import Capacity, Lane, Need, need_of, pool_key
from sqlbuild.runner.connection_slots import ConnectionRequest, ConnectionSlots
from sqlbuild.runner.error_facts import describe_error
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.node_session import RunningNode
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised, Returned, SkippedItself
from sqlbuild.runner.result_writer import ResultWriter
from sqlbuild.runner.run_facts import critical_path, exit_code_of
from sqlbuild.runner.scheduler import Command, Ready, Scheduler, Settle
from sqlbuild.runner.stop_signals import stop_signals

SLICE_SECONDS = 0.005
"""How long workers may go on without letting anything else use the event loop."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """How to run a plan. `limits` has the three lanes; `pools` pool name -> slots; `grace` is in seconds."""

    run_id: str
    root: str
    limits: Mapping[str, int]
    pools: Mapping[str, int] = dataclasses.field(default_factory=dict)
    vars: Mapping[str, object] = dataclasses.field(default_factory=dict)
    max_payload_bytes: int = 1_048_576
    fail_fast: bool = False
    grace: float = 10.0
    handle_signals: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunServices:
    """What a run works with. `jitter` draws from [0, 1]; `encode` makes the record text of a result."""

    warehouse: Warehouse
    store: StateStore
    journal: Journal
    clock: Clock
    publish: Callable[[Event], None]
    make_executor: Callable[[int, Callable[[Callable[[], None]], None]], Executor]
    encode: Callable[[NodeResult], str]
    jitter: Callable[[], float]
    leave_now: Callable[[int], None]
    """Ends the process at once with an exit code, after everything shown so far was written."""


async def execute_plan(plan: Plan, order: RunOrder, services: RunServices) -> RunResult:
    """Run every step of `plan` and return how each ended. Raises EngineError if results cannot be kept."""
    outside = {
        upstream
        for step in plan.steps.values()
        for upstream in step.node.depends_on
        if upstream not in plan.steps and plan.graph.nodes[upstream].kind in PYTHON_KINDS
    }
    stored = await services.store.latest_success(outside) if outside else {}
    execution = _Execution(plan, order, services, stored)
    started_at = services.clock.now()
    services.publish(
        RunStarted(
            at=started_at,
            run_id=order.run_id,
            target=plan.target,
            plan=plan,
            lanes={**order.limits, **{pool_key(name): slots for name, slots in order.pools.items()}},
        )
    )
    async with anyio.create_task_group() as background:
        background.start_soon(execution.bridge.run)
        background.start_soon(execution.alarms.run)
        background.start_soon(execution.writer.run)
        if order.handle_signals:
            await background.start(stop_signals, execution.stop, execution.leave)
        await execution.run()
        background.cancel_scope.cancel()
    await execution.writer.flush()
    if execution.engine_error is not None:
        raise execution.engine_error
    result = RunResult(
        run_id=order.run_id,
        target=plan.target,
        started_at=started_at,
        finished_at=services.clock.now(),
        results={node: execution.results[node] for node in plan.steps},
        exit_code=exit_code_of(execution.results.values(), execution.stopped_by, bool(execution.left_running)),
        stopped_by=execution.stopped_by,
        critical_path=critical_path(plan, execution.results),
        left_running=tuple(execution.left_running),
    )
    services.journal.ended(result)
    await services.store.append_run(result)
    services.publish(RunFinished(result.finished_at, result))
    return result


class _Execution:
    """The state of one run. All of it belongs to the event loop's thread."""

    def __init__(self, plan: Plan, order: RunOrder, services: RunServices, stored: Mapping[NodeId, NodeResult]) -> None:
        self.plan = plan
        self.order = order
        self.services = services
        self.stored = stored
        self.results: dict[NodeId, NodeResult] = {}
        self.stopped_by: str | None = None
        self.engine_error: EngineError | None = None
        self.left_running: list[NodeId] = []
        self.bridge = LoopBridge()
        self.alarms = Alarms(services.clock)
        self.writer = ResultWriter(services.store, self._engine_failed)
        self._scheduler = Scheduler(
            {node: step.upstream for node, step in plan.steps.items()},
            {
                node: step.node.declaration.declared.requires
                for node, step in plan.steps.items()
                if isinstance(step.node.declaration, Task | Asset)
            },
        )
        pools = {pool_key(name): slots for name, slots in order.pools.items()}
        self._capacity: Capacity[ConnectionRequest] = Capacity({**order.limits, **pools})
        self._executor = services.make_executor(order.limits[Lane.THREADS.value], self.bridge.call_soon)
        self._slots = ConnectionSlots(self._capacity, services.warehouse, self._grant)
        self._needs: dict[tuple[Lane, tuple[str, ...]], Need] = {}
        self._ready_at: dict[NodeId, float] = {}
        self._waited: dict[NodeId, float] = {}
        self._history: dict[NodeId, _History] = {}
        self._running: dict[NodeId, Attempt] = {}
        self._to_await: deque[Attempt] = deque()
        self._worker_due = False
        self._nodes: TaskGroup | None = None
        self._idle = anyio.Event()
        self._threads_idle = anyio.Event()

    # -- the run ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with anyio.create_task_group() as nodes:
            self._nodes = nodes
            self.bridge.open(nodes)
            if self.stopped_by is None:
                self._apply(self._scheduler.begin())
                self._check_idle()
                await self._idle.wait()
        if self.stopped_by is not None:
            await self._wait_for_threads()
            self._settle_stopped()
        self.bridge.close()
        self._executor.close()

    def stop(self, cause: str) -> None:
        """Start nothing more, cancel what can be cancelled."""
        if self.stopped_by is not None:
            return
        self.stopped_by = cause
        self._scheduler.stop()
        self.services.publish(RunStopping(self.services.clock.now(), cause, self.order.grace))
        self.alarms.clear()
        if self._nodes is not None:
            self._nodes.cancel_scope.cancel()

    def leave(self, exit_code: int) -> None:
        """The second signal: whatever still runs is left behind."""
        for attempt in list(self._running.values()):
            self._record_unknown(attempt)
        self.services.leave_now(exit_code)

    async def _wait_for_threads(self) -> None:
        self.bridge.close()
        if self._executor.in_flight:
            with anyio.move_on_after(self.order.grace):
                await self._threads_idle.wait()
        for attempt in list(self._running.values()):
            self.left_running.append(attempt.node.id)
            self._record_unknown(attempt)

    def _record_unknown(self, attempt: Attempt) -> None:
        attempt.over = True
        self._running.pop(attempt.node.id, None)
        self._record(self._result_of(attempt, Status.UNKNOWN, warnings=("its thread still ran when the run ended",)))

    def _settle_stopped(self) -> None:
        never_begun = [attempt.node.id for attempt in self._to_await if attempt.node.id not in self._history]
        for node, history in self._history.items():
            if node not in self.results:
                # It was waiting to be tried again.
                self._record(self._bare_result(node, Status.CANCELLED, retried=tuple(history.errors)))
        queued = [node for node in self._capacity.drain() if node not in self._history]
        for command in self._scheduler.settle_rest([*never_begun, *queued]):
            assert isinstance(command, Settle)
            if command.node not in self.results:
                self._record(self._bare_result(command.node, command.status))

    def _check_idle(self) -> None:
        if len(self.results) == len(self.plan.steps):
            self._idle.set()

    def _engine_failed(self, error: EngineError) -> None:
        self.engine_error = self.engine_error or error
        self.stop("engine error")

    # -- starting ---------------------------------------------------------------------------------------------------

    def _apply(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Ready(node):
                    self._enqueue(node)
                case Settle(node, status, because_of):
                    self._record(self._bare_result(node, status, because_of=because_of))
        self._grant()

    def _enqueue(self, node: NodeId) -> None:
        step = self.plan.steps[node]
        self._ready_at[node] = self.services.clock.monotonic()
        shape = lane_of(step.node), limits_of(step.node).pools
        need = self._needs.get(shape)
        if need is None:
            need = self._needs[shape] = need_of(*shape)
        self._capacity.add(node, need, step.priority)

    def _grant(self) -> None:
        if self.stopped_by is not None:
            return
        nodes, statements = self._capacity.grant()
        for node, need in nodes:
            self._start(node, need)
        for statement in statements:
            statement.granted.set()

    def _start(self, node: NodeId, need: Need) -> None:
        step = self.plan.steps[node]
        history = self._history.get(node)
        number = len(history.errors) + 1 if history is not None else 1
        is_python = step.node.kind in PYTHON_KINDS
        session = self._session(step.node.id, number) if is_python else None
        attempt = Attempt(step=step, number=number, need=need, session=session)
        if need[0] == Lane.THREADS.value:
            if self._begin(attempt):
                work = functools.partial(run_sync, attempt, self.order.max_payload_bytes)
                self._executor.submit(work, functools.partial(self._thread_ended, attempt))
        else:
            self._to_await.append(attempt)
            self._need_worker()

    def _session(self, node: NodeId, number: int) -> RunningNode:
        compiled = self.plan.graph.nodes[node]
        return RunningNode(
            facts=NodeFacts(
                run_id=self.order.run_id,
                node_name=compiled.name,
                attempt=number,
                target=self.plan.target,
                vars=self.order.vars,
            ),
            node=compiled,
            graph=self.plan.graph,
            results=self.results,
            stored=self.stored,
            slots=self._slots,
            bridge=self.bridge,
            clock=self.services.clock,
            publish=self.services.publish,
        )

    def _begin(self, attempt: Attempt) -> bool:
        """Say that user code starts now; False if that could not be written down."""
        node = attempt.node
        attempt.started_at = self.services.clock.now()
        attempt.started = self.services.clock.monotonic()
        if attempt.number == 1:
            self._waited[node.id] = attempt.started - self._ready_at[node.id]
        history = self._history.get(node.id)
        if history is None:
            self._history[node.id] = _History(attempt.started)
        self._running[node.id] = attempt
        try:
            self.services.journal.started(node.id, attempt.number, attempt.started_at)
        except EngineError as error:
            self._running.pop(node.id, None)
            del self._history[node.id]
            self._engine_failed(error)
            return False
        self.services.publish(NodeStarted(attempt.started_at, node.id, node.kind, node.name, attempt.number))
        return True

    # -- async nodes and SQL models ---------------------------------------------------------------------------------

    def _need_worker(self) -> None:
        """One standby worker is enough: it starts the next one when it finds more to do."""
        if not self._worker_due and self._nodes is not None:
            self._worker_due = True
            self._nodes.start_soon(self._work)

    async def _work(self) -> None:
        """Await one node after the other. While a node waits, the standby takes the next one."""
        self._worker_due = False
        clock = self.services.clock
        untouched = contextvars.copy_context()
        slice_ends = clock.monotonic() + SLICE_SECONDS
        while self._to_await and self.stopped_by is None:
            attempt = self._to_await.popleft()
            if self._to_await:
                self._need_worker()
            if not self._begin(attempt):
                return
            try:
                outcome = await run_async(attempt, self.order.max_payload_bytes, self.services.warehouse)
            except anyio.get_cancelled_exc_class():
                await self._close_session(attempt)
                self._attempt_ended(attempt, Cancelled())
                raise
            if attempt.session is not None and attempt.session.holds_connection:
                await self._close_session(attempt)
            self._attempt_ended(attempt, outcome)
            if contextvars.copy_context() != untouched:
                # The node set a context variable: the next node gets a fresh worker, so it cannot see it.
                if self._to_await:
                    self._need_worker()
                return
            if clock.monotonic() > slice_ends:
                await anyio.lowlevel.checkpoint()
                slice_ends = clock.monotonic() + SLICE_SECONDS

    async def _close_session(self, attempt: Attempt) -> None:
        if attempt.session is not None:
            with anyio.CancelScope(shield=True):
                await attempt.session.close()

    # -- endings ----------------------------------------------------------------------------------------------------

    def _thread_ended(self, attempt: Attempt, outcome: object) -> None:
        if attempt.over:
            return
        assert attempt.session is not None
        assert isinstance(outcome, Outcome)
        if attempt.session.holds_connection and self.stopped_by is None:
            self.bridge.start(functools.partial(self._close_and_end, attempt, outcome))
        else:
            self._attempt_ended(attempt, outcome)
        if self.stopped_by is not None and not self._executor.in_flight:
            self._threads_idle.set()

    async def _close_and_end(self, attempt: Attempt, outcome: Outcome) -> None:
        await self._close_session(attempt)
        self._attempt_ended(attempt, outcome)

    def _attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        failpoint("node.returned")
        node = attempt.node
        self._running.pop(node.id, None)
        self._capacity.give_back(attempt.need)
        match outcome:
            case Raised(error):
                self._failed(attempt, error)
            case Returned(payload, metadata, materialized):
                self._end(
                    self._result_of(
                        attempt, Status.SUCCEEDED, payload=payload, metadata=metadata, materialized=materialized
                    )
                )
            case SkippedItself(reason, mode, metadata):
                self._end(
                    self._result_of(attempt, Status.SKIPPED, metadata=metadata, skip_reason=reason, skip_mode=mode)
                )
            case Cancelled():
                self._end(self._result_of(attempt, Status.CANCELLED))
        self._check_idle()

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        node, now = attempt.node, self.services.clock.monotonic()
        facts = self._describe(attempt, error)
        history = self._history[node.id]
        if self.stopped_by is None:
            delay = retry_delay(
                limits_of(node).retry, node, attempt.number, error, now - history.first_started, self.services.jitter()
            )
            if delay is not None:
                self._retry_later(attempt, facts, delay)
                return
        status = Status.TIMED_OUT if isinstance(error, NodeTimeout) else Status.FAILED
        if self.order.fail_fast:
            self.stop("fail-fast")
        self._end(self._result_of(attempt, status, error=facts))

    def _retry_later(self, attempt: Attempt, facts: ErrorFacts, delay: float) -> None:
        node, at = attempt.node, self.services.clock.now()
        self._history[node.id].errors.append(facts)
        try:
            self.services.journal.attempt_failed(node.id, attempt.number, at, f"{facts.type}: {facts.message}")
        except EngineError as error:
            self._engine_failed(error)
            return
        self.services.publish(NodeRetrying(at, node.id, node.name, attempt.number, delay, facts))
        self.alarms.at(self.services.clock.monotonic() + delay, functools.partial(self._try_again, node.id))
        self._grant()

    def _try_again(self, node: NodeId) -> None:
        self._enqueue(node)
        self._grant()

    def _describe(self, attempt: Attempt, error: BaseException) -> ErrorFacts:
        facts = describe_error(error, self.order.root)
        if attempt.node.kind not in PYTHON_KINDS:
            line = error.line if isinstance(error, WarehouseError) else None
            return dataclasses.replace(facts, traceback="", path=attempt.node.place.path, line=line)
        if not facts.path:
            # The node returned; what it returned is what is wrong.
            return dataclasses.replace(facts, path=attempt.node.place.path, line=attempt.node.place.line)
        return facts

    def _end(self, result: NodeResult) -> None:
        self._record(result)
        self._apply(self._scheduler.finished(result.node_id, result.status, result.skip_mode))

    def _record(self, result: NodeResult) -> None:
        self.results[result.node_id] = result
        record = self.services.encode(result)
        try:
            self.services.journal.finished(record)
        except EngineError as error:
            self._engine_failed(error)
        failpoint("node.recorded")
        self.writer.add(record)
        self.services.publish(NodeFinished(result.finished_at or self.services.clock.now(), result))

    def _result_of(self, attempt: Attempt, status: Status, **facts: object) -> NodeResult:
        history = self._history[attempt.node.id]
        return self._bare_result(
            attempt.node.id,
            status,
            attempt=attempt.number,
            started_at=attempt.started_at,
            duration=max(0.0, self.services.clock.monotonic() - attempt.started),
            retried=tuple(history.errors),
            **facts,
        )

    def _bare_result(self, node: NodeId, status: Status, **facts: object) -> NodeResult:
        compiled = self.plan.graph.nodes[node]
        return NodeResult(
            run_id=self.order.run_id,
            node_id=node,
            kind=compiled.kind,
            name=compiled.name,
            status=status,
            finished_at=self.services.clock.now(),
            waited=self._waited.get(node, 0.0),
            fingerprint=compiled.fingerprint.stored(),
            **facts,  # type: ignore[arg-type]
        )


@dataclasses.dataclass(slots=True)
class _History:
    """A node's attempts so far: when the first began (monotonic seconds) and what the retried ones failed with."""

    first_started: float
    errors: list[ErrorFacts] = dataclasses.field(default_factory=list)
