"""The session of a node that runs in a worker process: what it is asked is asked of the run, over the pipe."""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from sqlbuild.domain.results import UpstreamResult
from sqlbuild.errors import NodeError
from sqlbuild.interfaces.node_session import NodeFacts
from sqlbuild.interfaces.warehouse import Extent, OpenResult, Parameters
from sqlbuild.refs import Reference
from sqlbuild.runner.carried_errors import CarriedError, uncarry
from sqlbuild.runner.error_facts import text_of
from sqlbuild.runner.remote_words import ArrowBytes, RemoteRows, WorkerOrder, arrow_batch, named
from sqlbuild.runner.remote_work import RemoteExports, RemoteLoading, RemoteWork

T = TypeVar("T")

PAGE_ROWS = 5_000
"""Rows that travel in one message."""


class RunLine:
    """The worker's way to ask its run; any thread may, and waits for its own answer.

    `send` sends a message; `try_send` does so too, or returns False if it would have to wait for another thread.
    """

    def __init__(self, send: Callable[[tuple[Any, ...]], None], try_send: Callable[[tuple[Any, ...]], bool]) -> None:
        self._send = send
        self._try_send = try_send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[tuple[CarriedError | None, Any]]] = {}
        self._untold: deque[tuple[Any, ...]] = deque()

    def ask(self, member: str, *arguments: Any) -> Any:
        """Raises what the run raises."""
        self._catch_up()
        number = next(self._numbers)
        answer = self._waiting[number] = queue.SimpleQueue()
        self._send(("ask", number, member, arguments))
        error, value = answer.get()
        if error is not None:
            raise uncarry(error)
        return value

    def tell(self, member: str, *arguments: Any) -> None:
        self._catch_up()
        self._send(("tell", member, arguments))

    def tell_from_anywhere(self, member: str, *arguments: Any) -> None:
        """Never waits, since a finalizer may call it in the middle of anything."""
        message = ("tell", member, arguments)
        if not self._try_send(message):
            self._untold.append(message)

    def _catch_up(self) -> None:
        while self._untold:
            self._send(self._untold.popleft())

    def answered(self, number: int, error: CarriedError | None, value: Any) -> None:
        """On the thread that listens to the run."""
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.put((error, value))


class RemoteSession:
    """`interfaces.node_session.NodeSession` for one attempt; its async functions never really wait, they block."""

    def __init__(self, line: RunLine, order: WorkerOrder, provide: Callable[[str], Any]) -> None:
        self._line = line
        self._order = order
        self._provide = provide
        self._left_undone: dict[int, tuple[object, str]] = {}
        self.work = RemoteWork(self, max_bytes=order.max_bytes, helpers=order.helpers)
        self.loading = RemoteLoading(self)
        self.exports = RemoteExports(self)
        self.over = False
        """Whether the attempt has ended: what it has left behind is not heard any more."""

    @property
    def facts(self) -> NodeFacts:
        return self._order.facts

    def ask(self, member: str, *arguments: Any) -> Any:
        if self.over:
            raise NodeError(f"{self.facts.node_name} has ended, and with it what its ctx could do")
        return self._line.ask(member, *arguments)

    def tell(self, member: str, *arguments: Any) -> None:
        if not self.over:
            self._line.tell(member, *arguments)

    def tell_from_anywhere(self, member: str, *arguments: Any) -> None:
        """Also from a finalizer; it may be heard a little later."""
        if not self.over:
            self._line.tell_from_anywhere(member, *arguments)

    # -- upstreams --------------------------------------------------------------------------------------------------

    def result_of(self, function: Callable[..., object]) -> UpstreamResult:
        result: UpstreamResult = self.ask("result_of", named(function))
        return result

    async def results_of(self, function: Callable[..., object], limit: int) -> list[UpstreamResult]:
        results: list[UpstreamResult] = self.ask("results_of", named(function), limit)
        return results

    def relation(self, reference: Reference) -> str:
        relation: str = self.ask("relation", reference if isinstance(reference, Reference) else named(reference))
        return relation

    # -- statements -------------------------------------------------------------------------------------------------

    async def query(
        self, sql: str, parameters: Parameters, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> OpenResult:
        return _RemoteResult(self, self.ask("query", sql, _plain_parameters(parameters), arrow, extent))

    async def execute(self, sql: str, parameters: Parameters) -> None:
        self.ask("execute", sql, _plain_parameters(parameters))

    def connection(self) -> Any:
        raise NodeError(
            'ctx.connection cannot be used with isolate="process": the connection belongs to another process',
            help="use ctx.query(...) and ctx.execute_sql(...), or leave isolate out",
        )

    def provider(self, name: str) -> Any:
        """Not asked of the run: a worker has instances of its own."""
        return self._provide(name)

    # -- telling ----------------------------------------------------------------------------------------------------

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self.tell("progress", _number(done), _number(total), None if message is None else text_of(message))

    def log(self, message: str, level: str, fields: Mapping[str, object]) -> None:
        self.tell("log", text_of(message), level, {text_of(name): _plain(value) for name, value in fields.items()})

    def wait(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        steps = function(*args).__await__()
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
        raise NodeError("this cannot be awaited in a worker process")

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    def note(self, token: object, message: str | None) -> None:
        if message is None:
            self._left_undone.pop(id(token), None)
        else:
            # Holding the token keeps its id from being given to another object.
            self._left_undone[id(token)] = (token, message)

    def left_undone(self) -> list[str]:
        return [message for _, message in self._left_undone.values()]


class _RemoteResult:
    """`interfaces.warehouse.OpenResult`, read in messages of bounded size."""

    def __init__(self, session: RemoteSession, rows: RemoteRows) -> None:
        self._session = session
        self._number = rows.number
        self.columns = rows.columns
        self.closed = rows.closed

    async def fetch(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        while limit is None or len(rows) < limit:
            wanted = PAGE_ROWS if limit is None else min(PAGE_ROWS, limit - len(rows))
            page, self.closed = self._session.ask("fetch", self._number, wanted)
            rows += page
            if len(page) < wanted:
                break
        return rows

    async def fetch_batch(self, rows: int) -> Any:
        batch, self.closed = self._session.ask("fetch_batch", self._number, rows)
        return arrow_batch(batch) if isinstance(batch, ArrowBytes) else batch

    async def close(self) -> None:
        _, self.closed = self._session.ask("close", self._number)

    def abandon(self) -> None:
        """The run lets go of it when this object goes."""

    def __del__(self) -> None:
        self._session.tell_from_anywhere("abandon", self._number)


def _plain_parameters(parameters: Parameters) -> Parameters:
    """Sequences and mappings of the author's own kinds may not be known to the run."""
    if parameters is None or isinstance(parameters, list | tuple | dict):
        return parameters
    return dict(parameters) if isinstance(parameters, Mapping) else list(parameters)


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | None) else text_of(value)


def _number(value: float | None) -> float | None:
    """Numbers of other libraries, such as numpy's, as Python's own."""
    if value is None or type(value) in (int, float):
        return value
    return int(value) if isinstance(value, int) else float(value)
