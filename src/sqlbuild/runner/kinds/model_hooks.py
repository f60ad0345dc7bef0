"""Hooks of a model: statements and functions that run on its connection, before and after it is built."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Any

from sqlbuild.authoring.hook_contexts import AsyncHookContext, HookCall, HookContext, HookDestination
from sqlbuild.domain.graph import Node
from sqlbuild.domain.hooks import RUN_ID_MARK, CompiledHook, HookPhase, PythonHook
from sqlbuild.domain.results import Skip
from sqlbuild.errors import MissingAwait, NodeError, NotReturned, WarehouseError
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.runner.kinds.sql_place import LINE, shift_caret
from sqlbuild.runner.node_output import begin_output, end_output
from sqlbuild.runner.node_session import NodeEnvironment, RunningNode
from sqlbuild.runner.outcomes import SkippedItself
from sqlbuild.sql.rendering import quote_relation

_RETURN = "return None, or ctx.skip(reason=...)"


class ModelHooks:
    """The hooks of one attempt of a model; `connection` is the one it is built on."""

    def __init__(self, node: Node, attempt: int, connection: Connection, environment: NodeEnvironment) -> None:
        self._node = node
        self._attempt = attempt
        self._connection = connection
        self._environment = environment

    async def run(self, phase: HookPhase) -> SkippedItself | None:
        """One after the other; the outcome of the model if one of them skips it. Raises what a hook raises."""
        for hook in self._node.hooks:
            if hook.declared.phase is not phase:
                continue
            if isinstance(hook.declared, PythonHook):
                skip = await self._call(hook, hook.declared)
                if skip is not None:
                    return SkippedItself(skip.reason, skip.mode)
            else:
                await self._execute(hook)
        return None

    async def _execute(self, hook: CompiledHook) -> None:
        sql = hook.sql.replace(RUN_ID_MARK, self._environment.run_id)
        try:
            await self._connection.execute(sql)
        except WarehouseError as error:
            raise _placed(error, hook) from error

    async def _call(self, hook: CompiledHook, declared: PythonHook) -> Skip | None:
        slots = _ModelConnection(self._connection)
        session = RunningNode(dataclasses.replace(self._environment, slots=slots), self._node, self._attempt)
        try:
            await session.set_up_providers()
            assert hook.function is not None
            given: dict[str, Any] = {**declared.arguments}
            given |= {name: session.provider(name) for name in hook.providers}
            if hook.context is not None:
                kind = AsyncHookContext if hook.is_async else HookContext
                given[hook.context] = kind(session, self._facts(declared))
            call: functools.partial[Any] = functools.partial(hook.function, **given)
            if hook.is_async:
                token = begin_output(session.log)
                try:
                    value = await call()
                finally:
                    end_output(token)
            else:
                value = await session.in_thread(_with_output, call, session)
            return _checked(value, hook, session)
        finally:
            await session.close()

    def _facts(self, declared: PythonHook) -> HookCall:
        relation, loading = self._node.relation, self._environment.loading
        assert relation is not None
        return HookCall(
            model_name=self._node.name,
            phase=declared.phase.value,
            hook_name=declared.name,
            hook_index=declared.index,
            adapter_name=loading.dialect if loading is not None else "",
            destination=HookDestination(
                qualified=quote_relation(relation),
                database=relation.database,
                schema=relation.schema,
                table=relation.name,
            ),
        )


class _ModelConnection:
    """`sqlbuild.runner.node_session.ConnectionSlots` with the one connection that the model holds already."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def borrow(self) -> Connection:
        return self._connection

    def borrow_now(self) -> Connection | None:
        return self._connection

    async def give_back(self, connection: Connection) -> None:
        """It stays the model's."""


def _with_output(call: functools.partial[Any], session: RunningNode) -> Any:
    """On a worker thread."""
    token = begin_output(session.log)
    try:
        return call()
    finally:
        end_output(token)


def _checked(value: object, hook: CompiledHook, session: RunningNode) -> Skip | None:
    if isinstance(value, Skip):
        session.note(value, None)
    left = session.left_undone()
    if left:
        error: NodeError = (MissingAwait if "was never awaited" in left[0] else NotReturned)("; ".join(left))
    elif value is None or isinstance(value, Skip):
        return value
    else:
        if inspect.iscoroutine(value):
            value.close()
        what = type(value).__qualname__
        error = NodeError(f"{hook.declared.label} returned an object of type {what}", help=_RETURN)
    error.path, error.line = hook.place.path, hook.place.line
    raise error


def _placed(error: WarehouseError, hook: CompiledHook) -> WarehouseError:
    """The same error with the line of the file in which the hook stands instead of that of the statement."""
    message, begin = str(error.args[0]) if error.args else "", hook.declared.place
    line = begin.line or 1
    found = LINE.search(message)
    if found is not None:
        line += int(found[1]) - 1
        place = f"{begin.path}:{line}:"
        message = message[: found.start()] + place + shift_caret(message[found.end() :], len(place) - len(found[0]))
    placed = WarehouseError(
        f"{hook.declared.label}: {message}", help=error.help, sql=error.sql, transient=error.transient
    )
    placed.path, placed.line = begin.path, line
    return placed
