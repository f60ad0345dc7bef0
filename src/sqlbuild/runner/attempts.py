"""One attempt of one node: called, bounded in time, and its end told as an outcome, never as an exception."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from sqlbuild.authoring.contexts import make_context
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.nodes import Asset, Model, PythonFunction, Task
from sqlbuild.domain.plans import Step
from sqlbuild.errors import NodeCancelled, NodeExited, NodeTimeout, WarehouseError
from sqlbuild.interfaces.warehouse import Warehouse
from sqlbuild.retries import RetryAfter, RetryPolicy
from sqlbuild.runner.capacity import Lane, Need
from sqlbuild.runner.kinds.sql_model import build_model
from sqlbuild.runner.kinds.user_function import call_async, call_sync
from sqlbuild.runner.node_session import RunningNode
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised


@dataclasses.dataclass(slots=True, kw_only=True)
class Attempt:
    """What is known of a running attempt. Times are in seconds, `started_at` since the epoch."""

    step: Step
    number: int
    need: Need
    session: RunningNode | None
    started_at: float = 0.0
    started: float = 0.0
    """On the monotonic clock."""
    over: bool = False

    @property
    def node(self) -> Node:
        return self.step.node


def lane_of(node: Node) -> Lane:
    match node.declaration:
        case Task(declared=declared) | Asset(declared=declared):
            return Lane.CONCURRENCY if declared.is_async else Lane.THREADS
        case _:
            return Lane.CONNECTIONS


def limits_of(node: Node) -> PythonFunction | Model:
    """Where the node's retry policy, time limit and pools are declared."""
    declaration = node.declaration
    if isinstance(declaration, Task | Asset):
        return declaration.declared
    assert isinstance(declaration, Model)
    return declaration


def run_sync(attempt: Attempt, max_bytes: int) -> Outcome:
    """On a worker thread: call a `def` node. Never raises."""
    declaration = attempt.node.declaration
    assert isinstance(declaration, Task | Asset)
    assert attempt.session is not None
    try:
        context = make_context(attempt.node.kind, False, attempt.session)
        return call_sync(declaration, context, attempt.session, max_bytes)
    except BaseException as error:  # noqa: BLE001 - whatever a node does ends that node only
        return _raised(error)


async def run_async(attempt: Attempt, max_bytes: int, warehouse: Warehouse) -> Outcome:
    """On the event loop: await an `async def` node or build a model. Raises only cancellation."""
    declaration = attempt.node.declaration
    try:
        if isinstance(declaration, Task | Asset):
            assert attempt.session is not None
            context = make_context(attempt.node.kind, True, attempt.session)
            if declaration.declared.timeout is None:
                return await call_async(declaration, context, attempt.session, max_bytes)
            return await _bounded(
                declaration.declared.timeout, call_async, declaration, context, attempt.session, max_bytes
            )
        assert isinstance(declaration, Model)
        if declaration.timeout is None:
            return await build_model(attempt.node, warehouse)
        return await _bounded(declaration.timeout, build_model, attempt.node, warehouse)
    except anyio.get_cancelled_exc_class() as error:
        # A cancellation that nobody asked for came from the author's own code: it fails the node like any error.
        if anyio.current_effective_deadline() != float("-inf"):
            return _raised(error)
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a node does ends that node only
        return _raised(error)


async def _bounded(seconds: float, function: Callable[..., Awaitable[Outcome]], *args: Any) -> Outcome:
    with anyio.move_on_after(seconds):
        return await function(*args)
    raise NodeTimeout(f"the attempt took longer than its timeout of {seconds:g} s")


def _raised(error: BaseException) -> Outcome:
    match error:
        case NodeCancelled():
            return Cancelled()
        case SystemExit():
            return Raised(_exited(f"the node called sys.exit({error.code!r})", error))
        case KeyboardInterrupt() | GeneratorExit():
            return Raised(_exited(f"the node raised {type(error).__name__}", error))
        case _:
            return Raised(error)


def _exited(message: str, error: BaseException) -> NodeExited:
    exited = NodeExited(message, help="raise an exception or return ctx.skip(...) instead")
    # Keeps the author's line: the traceback is where the node left, not where it was noticed.
    return exited.with_traceback(error.__traceback__)


def retry_delay(
    policy: RetryPolicy | None, node: Node, number: int, error: BaseException, elapsed: float, draw: float
) -> float | None:
    """Seconds until the next attempt, or None if there is none."""
    if policy is None:
        return None
    transient = isinstance(error, NodeTimeout) or (isinstance(error, WarehouseError) and error.transient)
    if node.kind is NodeKind.MODEL and not transient:
        return None
    delay = policy.delay_after(number, error, elapsed, jitter_draw=draw)
    if delay is not None and isinstance(error, RetryAfter):
        delay = max(delay, error.seconds)
    return delay
