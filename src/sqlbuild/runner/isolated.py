"""A node with `isolate="process"`, seen from the run: a thread of the lane orders a worker and answers what it asks."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import inspect
import itertools
import operator
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import anyio

from sqlbuild.authoring.service_waits import told_wait
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.nodes import Loader, PythonNode
from sqlbuild.errors import NodeCancelled, NodeError, WorkerLost
from sqlbuild.interfaces.loading import RowBatch
from sqlbuild.interfaces.process_executor import Ending, WorkerDied, WorkerEnded, WorkerKilled
from sqlbuild.interfaces.warehouse import Extent, OpenResult
from sqlbuild.retries import RetryAfter
from sqlbuild.runner.attempts import Attempt, too_late
from sqlbuild.runner.carried_errors import carry, uncarry
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.node_output import Speaker
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised
from sqlbuild.runner.remote_words import (
    ArrowBytes,
    CarriedRaise,
    NamedFunction,
    RemoteRows,
    WasCancelled,
    WorkerOrder,
    arrow_batch,
    arrow_bytes,
    plain_facts,
)

_WORK = ("take_pools", "checkpoints", "keep")
_LOADING = ("destination", "cursor_value", "upstream", "highest", "start", "apply", "has_table")
_EXPORTS = ("copy", "begin", "finish")
_MEMBERS = frozenset(
    {"relation", "result_of", "results_of", "execute"}
    | {f"work.{name}" for name in _WORK}
    | {f"loading.{name}" for name in _LOADING}
    | {f"exports.{name}" for name in _EXPORTS}
)
"""Members of the session that a worker may ask for by name, whose arguments and results are plain data."""
_TOLD = frozenset({"log", "progress", "work.leave_pools", "exports.discard"})

Reply = Callable[[tuple[Any, ...]], None]


def _settings_of(declaration: PythonNode) -> Mapping[str, Any]:
    """A managed source's file says how its loader loads; the worker only sees what the decorator says."""
    if not isinstance(declaration, Loader):
        return {}
    return {
        field.name: getattr(declaration, field.name)
        for field in dataclasses.fields(declaration)
        if field.name != "declared"
    }


class AttemptElsewhere:
    """The talk with the worker that runs one attempt; `interfaces.process_executor.Conversation`."""

    def __init__(
        self,
        attempt: Attempt,
        bridge: LoopBridge,
        graph: Graph,
        warn: Callable[[str], None],
        *,
        max_bytes: int,
        helpers: int,
        masker: Masker | None,
    ) -> None:
        declaration = attempt.node.declaration
        assert isinstance(declaration, PythonNode)
        assert attempt.session is not None
        self.time_limit = declaration.declared.timeout
        self.order = WorkerOrder(
            node=attempt.node.id,
            path=declaration.declared.place.path,
            settings=_settings_of(declaration),
            facts=plain_facts(attempt.session.facts),
            providers=attempt.node.providers,
            backend=bridge.backend,
            max_bytes=max_bytes,
            helpers=helpers,
            secrets=() if masker is None else masker.values,
        )
        self._masker = masker
        self._session = attempt.session
        self._bridge = bridge
        self._graph = graph
        self._warn = warn
        self._output = Speaker(attempt.session.log)
        self._results: dict[int, OpenResult] = {}
        self._numbers = itertools.count(1)
        self._at_work: set[anyio.CancelScope] = set()
        self._closed = False
        self._uses_loop = False
        self._none_at_work: anyio.Event | None = None

    # -- what the worker says ---------------------------------------------------------------------------------------

    def heard(self, message: tuple[Any, ...], reply: Reply) -> None:
        match message:
            case ("tell", member, arguments) if member in _TOLD:
                operator.attrgetter(member)(self._session)(*arguments)
            case ("tell", "warn", (text,)):
                self._warn(text)
            case ("tell", "hide", (values,)):
                if self._masker is not None:
                    self._masker.add(values)
            case ("tell", "abandon", (number,)):
                result = self._results.pop(number, None)
                if result is not None and not result.closed:
                    result.abandon()
            case ("ask", number, member, arguments):
                self._answer(number, member, arguments, reply)
            case _:
                raise AssertionError(f"a worker said {message[:2]!r}")

    def printed(self, level: str, text: str) -> None:
        self._output.write(level, text, self._masker)

    def finish_output(self) -> None:
        self._output.finish()

    def unsendable(self, message: tuple[Any, ...], error: Exception) -> tuple[Any, ...]:
        refused = NodeError(f"this cannot be sent to a worker process: {error}")
        return "answer", message[1], carry(refused), None

    def _answer(self, number: int, member: str, arguments: tuple[Any, ...], reply: Reply) -> None:
        if self._closed:
            reply(("answer", number, carry(NodeCancelled()), None))
            return
        try:
            future = self._begin(member, arguments)
        except BaseException as error:  # noqa: BLE001 - the node gets it, whatever it is
            reply(("answer", number, carry(error), None))
        else:
            future.add_done_callback(functools.partial(_send_answer, number, reply))

    def _begin(self, member: str, arguments: tuple[Any, ...]) -> concurrent.futures.Future[Any]:
        match member:
            case "query":
                return self._submit(self._query, *arguments)
            case "fetch" | "fetch_batch" | "close":
                return self._submit(self._of_result, member, *arguments)
            case "loading.stage":
                return self._submit(self._stage, *arguments)
            case "exports.write":
                return self._submit(self._write, *arguments)
        if member not in _MEMBERS:
            raise NodeError(f"a worker process asks for {member!r}")
        called = operator.attrgetter(member)(self._session)
        given = [self._function_of(each) if isinstance(each, NamedFunction) else each for each in arguments]
        if inspect.iscoroutinefunction(called):
            return self._submit(called, *given)
        value = called(*given) if callable(called) else called
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_result(dict(value) if isinstance(value, Mapping) else value)
        return future

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
        self._uses_loop = True
        return self._bridge.submit(self._guarded, function, *arguments)

    def _function_of(self, named: NamedFunction) -> Any:
        node = self._graph.nodes.get(named.node) if named.node is not None else None
        if node is not None and isinstance(node.declaration, PythonNode):
            return node.declaration.declared.function
        return SimpleNamespace(__name__=named.name)

    # -- on the event loop ------------------------------------------------------------------------------------------

    async def _guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Await a member of the session in a scope that ends with the worker."""
        if self._closed:
            raise _over()
        with anyio.CancelScope() as scope:
            self._at_work.add(scope)
            try:
                return await function(*arguments)
            finally:
                self._at_work.discard(scope)
                if self._none_at_work is not None and not self._at_work:
                    self._none_at_work.set()
        raise _over()

    async def _query(self, sql: str, parameters: Any, arrow: bool, extent: Extent) -> RemoteRows:
        result = await self._session.query(sql, parameters, arrow=arrow, extent=extent)
        number = next(self._numbers)
        self._results[number] = result
        return RemoteRows(number, result.columns, result.closed)

    async def _write(self, export: int, batch: ArrowBytes) -> None:
        await self._session.exports.write(export, await self._session.in_thread(arrow_batch, batch))

    async def _of_result(self, member: str, number: int, *arguments: Any) -> Any:
        """What the member gives, and whether the result is closed."""
        result = self._results.get(number)
        if result is None:
            raise NodeError("this result is closed")
        value = await getattr(result, member)(*arguments)
        if member == "fetch_batch" and value is not None:
            value = await self._session.in_thread(arrow_bytes, value)
        return value, result.closed

    async def _stage(self, batch: RowBatch) -> None:
        if batch.arrow is not None:
            batch = dataclasses.replace(batch, arrow=await self._session.in_thread(arrow_batch, batch.arrow))
        await self._session.loading.stage(batch)

    async def _stop_answers(self) -> None:
        self._closed = True
        for result in self._results.values():
            if not result.closed:
                result.abandon()
        self._results.clear()
        if self._at_work:
            self._none_at_work = anyio.Event()
            for scope in self._at_work:
                scope.cancel()
            await self._none_at_work.wait()

    # -- the end ----------------------------------------------------------------------------------------------------

    def closing(self) -> None:
        """Also called when the worker is gone: whatever it still waits for is given up."""
        if self._closed:
            return
        if self._uses_loop:
            with contextlib.suppress(NodeCancelled):
                self._bridge.wait(self._stop_answers)
        self._closed = True

    def outcome_of(self, ending: Ending) -> Outcome:
        match ending:
            case WorkerEnded(CarriedRaise() as raised):
                return Raised(_asking_to_wait(uncarry(raised.error), raised), raised.facts)
            case WorkerEnded(WasCancelled()):
                return Cancelled(WorkerLost("somebody sent SIGTERM to the worker process"))
            case WorkerEnded(outcome):
                assert isinstance(outcome, Outcome)
                return outcome
            case WorkerDied(how, by_signal):
                return Raised(WorkerLost(f"the worker process {how}", help=_HELP.get(by_signal or "", "")))
            case WorkerKilled(late=True):
                return Raised(too_late(self.time_limit))
            case WorkerKilled():
                return Cancelled(NodeCancelled())


_HELP = {
    "SIGKILL": "the system does that when memory runs out; nobody else should",
    "SIGSEGV": "a library with native code crashed; the node's log may show where",
    "SIGABRT": "a library with native code gave up; the node's log may show why",
}


def _asking_to_wait(error: BaseException, raised: CarriedRaise) -> BaseException:
    """What a service has asked for is not lost if its answer could not travel with the exception."""
    if raised.asked_wait is not None:
        error.__cause__ = told_wait(raised.asked_wait) if raised.wait_is_told else RetryAfter(raised.asked_wait)
    return error


def _over() -> NodeError:
    # Not NodeCancelled, which would end the task group in which it is raised.
    return NodeError("the attempt has ended, and with it what its ctx could do")


def _send_answer(number: int, reply: Reply, future: concurrent.futures.Future[Any]) -> None:
    error = future.exception()
    reply(("answer", number, None if error is None else carry(error), None if error is not None else future.result()))
