"""One attempt of one node: called, bounded in time, and its end told as an outcome, never as an exception."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import anyio

from sqlbuild.authoring.loader_contexts import context_for
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import PYTHON_KINDS
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Check,
    Function,
    Loader,
    Model,
    PythonFunction,
    PythonNode,
    Seed,
    Task,
    UnitTest,
)
from sqlbuild.domain.plans import Step
from sqlbuild.domain.results import ErrorFacts, NodeResult
from sqlbuild.errors import LoopBlocked, NodeError, NodeTimeout, ProviderError, SqlbuildError, WarehouseError
from sqlbuild.runner.capacity import Lane, Need
from sqlbuild.runner.gates import Gated
from sqlbuild.runner.kinds.sql_model import GiveWay
from sqlbuild.runner.kinds.sql_node import SqlNodes
from sqlbuild.runner.kinds.user_function import call_async, exited, run_function
from sqlbuild.runner.node_session import RunningNode
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised
from sqlbuild.runner.run_order import RunOrder


@dataclasses.dataclass(slots=True, kw_only=True)
class LoopBlock:
    """A time in which an attempt kept the event loop from running, at `place`; until None it still does."""

    place: str
    since: float
    until: float | None = None


@dataclasses.dataclass(slots=True, kw_only=True)
class History:
    """The attempts of a node that is tried again: when the first one began (monotonic seconds), how long the node had
    waited for that, and what each failed with."""

    first_started: float
    waited: float
    errors: list[ErrorFacts] = dataclasses.field(default_factory=list)


class Attempt:
    """What is known of a running attempt. Times are in seconds, `started_at` since the epoch."""

    # What few attempts come to have is set there: until then the class says it for all.
    left_scope_open = False
    """The task it ran in cannot be used for another node."""
    blocks: tuple[LoopBlock, ...] | None = None
    """Added to by the loop's watchdog, from its thread."""
    history: History | None = None
    """Of the attempts before."""
    gated: Gated | None = None
    """What an earlier part of it, or an earlier attempt, has staged: its gates have ended."""
    goes_on = False
    """It has begun already."""
    has_lane = True
    """False: it has let others have the slot of its lane, and was not given another one."""
    waits_since: float | None = None
    """On the monotonic clock, while it lets others have its slot."""
    seconds_waited = 0.0
    """For its slot, in the middle of its work."""
    give_way: GiveWay | None = None
    """Of an SQL node."""

    def __init__(self, step: Step, node: Node, number: int, need: Need, session: RunningNode | None) -> None:
        self.step = step
        self.node = node
        self.number = number
        self.need = need
        self.session = session
        self.started_at = 0.0
        self.started = 0.0
        """On the monotonic clock."""
        self.waited = 0.0
        """From being ready to the first attempt's start."""
        self.over = False
        """Its end was written down already; what still comes of it is too late."""

    @property
    def held(self) -> Need:
        """The slots that it has."""
        return self.need if self.has_lane else self.need[1:]

    def end(self) -> None:
        """Before it has really ended: whatever it still does gets no answer, and nothing of it is published."""
        self.over = True
        if self.session is not None:
            self.session.over = True

    def add_exports(self, result: NodeResult) -> None:
        """What it has exported is kept with its success."""
        if self.session is not None and self.session.exported is not None:
            self.session.exported.add_to(result)

    def seconds_of_blocks(self) -> float:
        now = time.monotonic()
        return sum((now if block.until is None else block.until) - block.since for block in self.blocks or ())

    def seconds_for_others(self, now: float) -> float:
        """For so long it has waited for the slot that others had; `now` is on the monotonic clock."""
        return self.seconds_waited + (0.0 if self.waits_since is None else now - self.waits_since)


_PYTHON_NODE = (Task, Asset, Loader, Check)
"""`PythonNode`, which takes twice as long to ask for."""

LimitOf = Callable[[Attempt, float], contextlib.AbstractContextManager[object]]
"""Makes the scope that ends an attempt after so many seconds."""


def lane_of(node: Node) -> Lane:
    declaration = node.declaration
    if isinstance(declaration, _PYTHON_NODE):
        return Lane.CONCURRENCY if declaration.declared.is_async else Lane.THREADS
    return Lane.CONNECTIONS


def limits_of(node: Node) -> PythonFunction | Model | Seed | Function | UnitTest | Audit:
    """Where the node's retry policy, time limit and pools are declared."""
    declaration = node.declaration
    if isinstance(declaration, _PYTHON_NODE):
        return declaration.declared
    assert isinstance(declaration, Model | Seed | Function | UnitTest | Audit)
    return declaration


def is_isolated(node: Node) -> bool:
    """Whether it runs in a worker process."""
    declaration = node.declaration
    return isinstance(declaration, PythonNode) and declaration.declared.isolated


def run_sync(attempt: Attempt, max_bytes: int) -> Outcome:
    """On a worker thread: call a `def` node. Never raises."""
    declaration = attempt.node.declaration
    assert isinstance(declaration, PythonNode)
    assert attempt.session is not None
    return run_function(declaration, attempt.session, max_bytes)


async def run_async(
    attempt: Attempt, order: RunOrder, sql_nodes: SqlNodes, limit: LimitOf, *, guard_scopes: bool
) -> Outcome:
    """On the event loop: await an `async def` node or do the work of an SQL node. Never raises; cancellation is an outcome too.

    With `guard_scopes` a cancel scope that the node leaves open fails it and can do no harm to what comes after it.
    """
    outcome: Outcome | None = None
    raised: BaseException | None = None
    timeout = limits_of(attempt.node).timeout
    in_scope = guard_scopes or timeout is not None
    try:
        if attempt.node.providers and attempt.session is not None:
            # Before the time limit: it bounds the author's function, not what others may have to wait for too.
            await attempt.session.set_up_providers()
        if not in_scope:
            return await _called(attempt, order, sql_nodes)
        with anyio.CancelScope() if timeout is None else limit(attempt, timeout):
            try:
                outcome = await _called(attempt, order, sql_nodes)
            except BaseException as error:
                raised = error
                raise
        return outcome or Raised(too_late(timeout))
    except BaseException as error:  # noqa: BLE001 - whatever a node does ends that node only
        if (
            in_scope
            and isinstance(error, RuntimeError)
            and error is not raised
            and not isinstance(error, SqlbuildError)
        ):
            # The scope around the node could not be left, because one inside of it was not.
            attempt.left_scope_open = True
            error = raised or _scope_left_open(error)
        # A cancellation that nobody asked for came from the author's own code: it fails the node like any error.
        if _is_cancellation(error) and anyio.current_effective_deadline() == -math.inf:
            return Cancelled(error)
        return Raised(exited(error))
    finally:
        raised = None  # it holds this frame


def too_late(timeout: float | None) -> NodeTimeout:
    return NodeTimeout(f"the attempt took longer than its timeout of {timeout:g} s")


def _called(attempt: Attempt, order: RunOrder, sql_nodes: SqlNodes) -> Coroutine[Any, Any, Outcome]:
    node, session = attempt.node, attempt.session
    if session is None:
        if attempt.gated is not None:
            return attempt.gated.conclude(attempt.number)
        return sql_nodes.run(node, attempt.number, attempt.give_way)
    context = context_for(node.kind, True, session)
    return call_async(cast(PythonNode, node.declaration), context, session, order.max_payload_bytes)


async def close_session(attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close what the node left open. A connection that does not close fails a node that had not failed."""
    assert attempt.session is not None
    try:
        with anyio.CancelScope(shield=True):
            await attempt.session.close()
    except BaseException as error:  # noqa: BLE001 - it concerns this node only
        return outcome if isinstance(outcome, Raised | Cancelled) else Raised(error)
    return outcome


def _is_cancellation(error: BaseException) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.split(cancelled)[1] is None
    return isinstance(error, cancelled)


def _scope_left_open(error: RuntimeError) -> NodeError:
    left_open = NodeError(
        "the node ended inside a cancel scope, time limit or task group that it had entered",
        help="leave each of them before the function ends, and do not `yield` from inside of one",
    )
    left_open.__cause__ = error
    return left_open


def delay_before_next(
    attempt: Attempt, error: BaseException, *, now: float, draw: float, wait: float | None
) -> float | None:
    """Seconds until the node of a failed attempt is tried again, or None if it is not; not before a service that asked
    for `wait` seconds allows it. `draw` is from [0, 1]."""
    policy = limits_of(attempt.node).retry
    # A provider is set up once in a run, however often its nodes are tried.
    if policy is None or isinstance(error, LoopBlocked | ProviderError):
        return None
    transient = isinstance(error, NodeTimeout) or (isinstance(error, WarehouseError) and error.transient)
    if attempt.node.kind not in PYTHON_KINDS and not transient:
        return None
    history = attempt.history
    elapsed = now - (attempt.started if history is None else history.first_started)
    tries = 1 if history is None else len(history.errors) + 1
    delay = policy.delay_after(tries, error, elapsed, jitter_draw=draw)
    if delay is None or wait is None or wait <= delay:
        return delay
    if policy.max_elapsed_seconds is not None and elapsed + wait > policy.max_elapsed_seconds:
        return None
    return wait
