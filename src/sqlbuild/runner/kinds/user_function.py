"""Tasks and assets: the author's function is called, and what it returns becomes an outcome."""

from __future__ import annotations

import inspect
from typing import Protocol

from sqlbuild.authoring.loader_contexts import context_for
from sqlbuild.authoring.pool_blocks import leave_blocks_left_open
from sqlbuild.domain.nodes import Asset, Check, Loader, PythonNode, kind_of_declaration
from sqlbuild.domain.results import CheckResult, NodeValue, Skip
from sqlbuild.errors import MissingAwait, NodeCancelled, NodeExited, NotReturned
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.runner import kinds
from sqlbuild.runner.kinds.calling import call_function
from sqlbuild.runner.kinds.check import outcome_of_check
from sqlbuild.runner.node_output import begin_output, end_output
from sqlbuild.runner.outcomes import NOTHING_RETURNED, Cancelled, Outcome, Raised, Returned, SkippedItself
from sqlbuild.runner.plain_json import plain_json_text


class CalledSession(NodeSession, Protocol):
    """The session of a node that is called here: on a thread or the loop of the run, or in a worker process."""

    def left_undone(self) -> list[str]:
        """What the node was asked to do before it returns and did not, in words."""


def run_function(node: PythonNode, session: CalledSession, max_bytes: int) -> Outcome:
    """Call a `def` node, on a worker thread or in a worker process. Never raises."""
    try:
        context = context_for(kind_of_declaration(node), False, session)
        return call_sync(node, context, session, max_bytes)
    except BaseException as error:  # noqa: BLE001 - whatever a node does ends that node only
        return Cancelled(error) if isinstance(error, NodeCancelled) else Raised(exited(error))
    finally:
        leave_blocks_left_open(session)


def exited(error: BaseException) -> BaseException:
    """`error`, or NodeExited for what would end the process."""
    match error:
        case SystemExit():
            message = f"the node called sys.exit({error.code!r})"
        case KeyboardInterrupt() | GeneratorExit():
            message = f"the node raised {type(error).__name__}"
        case _:
            return error
    exited = NodeExited(message, help="raise an exception or return ctx.skip(...) instead")
    # Keeps the author's line: the traceback is where the node left, not where it was noticed.
    return exited.with_traceback(error.__traceback__)


def call_sync(node: PythonNode, context: object, session: CalledSession, max_bytes: int) -> Outcome:
    """On a worker thread."""
    if type(node) is Loader:
        return kinds.loader.load_sync(node, context, session, max_bytes, outcome_of)
    token = begin_output(session.log)
    try:
        value = call_function(node, context, session)
    finally:
        end_output(token)
    return outcome_of(node, value, session, max_bytes)


async def call_async(node: PythonNode, context: object, session: CalledSession, max_bytes: int) -> Outcome:
    """On the event loop."""
    try:
        if type(node) is Loader:
            return await kinds.loader.load_async(node, context, session, max_bytes, outcome_of)
        token = begin_output(session.log)
        try:
            value = await call_function(node, context, session)
        finally:
            end_output(token)
        return outcome_of(node, value, session, max_bytes)
    finally:
        leave_blocks_left_open(session)


def outcome_of(node: PythonNode, value: object, session: CalledSession, max_bytes: int) -> Outcome:
    """What a returned value means. Raises UnstorableResult, MissingAwait or NotReturned."""
    if value is None and type(node) is not Check and not session.left_undone():
        return NOTHING_RETURNED
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise MissingAwait(
            f"{node.declared.name} returned a coroutine that was never awaited",
            help="write `return await ...`" if node.declared.is_async else "make the function `async def` and await it",
        )
    if isinstance(value, Skip | CheckResult):
        session.note(value, None)
    left = session.left_undone()
    if left:
        raise (MissingAwait if "was never awaited" in left[0] else NotReturned)("; ".join(left))
    match value:
        case Skip(reason=reason, mode=mode, metadata=metadata):
            return SkippedItself(reason, mode, plain_json_text(metadata, "metadata", max_bytes))
        case _ if isinstance(node, Check):
            return outcome_of_check(node, value, max_bytes)
        case NodeValue(payload=payload, metadata=metadata, materialized=materialized):
            return Returned(
                plain_json_text(payload, "payload", max_bytes),
                plain_json_text(metadata, "metadata", max_bytes),
                materialized if isinstance(node, Asset) else None,
            )
        case None:
            return Returned()
        case _:
            return Returned(plain_json_text(value, "payload", max_bytes))
