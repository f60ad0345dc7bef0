"""What a running node can ask of the engine: its upstreams' results, relations, statements, progress, logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import anyio.to_thread

from sqlbuild.authoring.declare import declaration_of
from sqlbuild.domain.events import Event, NodeLogged, NodeProgress
from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeId, Relation, name_of, node_id
from sqlbuild.domain.nodes import Source, kind_of_declaration
from sqlbuild.domain.record import record
from sqlbuild.domain.results import SUCCESSES, NodeResult, Status, UpstreamResult
from sqlbuild.errors import NodeError, UndeclaredDependency, UpstreamHasNoResult, WarehouseError
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.loading import Loading
from sqlbuild.interfaces.node_session import NodeFacts
from sqlbuild.interfaces.state_store import StateStore
from sqlbuild.interfaces.warehouse import BuildOrder, Connection, Extent, OpenResult, Parameters
from sqlbuild.refs import Reference
from sqlbuild.runner import exporting
from sqlbuild.runner.error_facts import text_of
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.node_load import NodeLoad
from sqlbuild.runner.node_work import WorkOfNode, WorkServices
from sqlbuild.runner.providing import Providing, not_set_up, provided_by
from sqlbuild.runner.reading_sql import refuse_writing
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.runner.upstream_results import as_upstream_result, last_upstream_results
from sqlbuild.sql.rendering import quote_relation, render_source_expression

if TYPE_CHECKING:
    from sqlbuild.runner.exporting.node_exports import ExportServices, NodeExports
    from sqlbuild.runner.exporting.record import ExportRecord

T = TypeVar("T")


class ConnectionSlots(Protocol):
    """Where statements of Python nodes get their connection from."""

    async def borrow(self) -> Connection: ...

    def borrow_now(self) -> Connection | None:
        """One that is free this instant, or None."""

    async def give_back(self, connection: Connection) -> None: ...


@record(frozen=True, slots=True, kw_only=True)
class NodeEnvironment:
    """What all nodes of a run share. `results` are those of this run so far, `stored` earlier ones of nodes outside it."""

    run_id: str
    target: str
    vars: Mapping[str, object]
    graph: Graph
    results: Mapping[NodeId, NodeResult]
    stored: Mapping[NodeId, NodeResult]
    store: StateStore
    slots: ConnectionSlots
    bridge: LoopBridge
    clock: Clock
    publish: Callable[[Event], None]
    said: Callable[[NodeLogged], None]
    providing: Providing | None = None
    """Of a project that has providers."""
    dry_run: bool = False
    is_reload: bool = False
    loading: Loading | None = None
    """Of a run that may have loaders."""
    commits: Relation | None = None
    """`_sqlbuild_commits` of the target."""
    is_built_later: Callable[[Relation], bool]
    """See `BuildOrder`."""
    work: WorkServices
    exporting: ExportServices | None = None
    """Of a run whose nodes may write files."""


def make_exporting(order: RunOrder, services: RunServices) -> ExportServices | None:
    """None for a run whose nodes may not write files."""
    if order.exports is None or services.copying is None:
        return None
    return exporting.node_exports.ExportServices(
        places=order.exports,
        copying=services.copying,
        store=services.store,
        run_id=order.run_id,
        dry_run=order.dry_run,
    )


class RunningNode:
    """One attempt of one Python node. Everything but `wait`, `progress`, `log` and `note` runs on the event loop."""

    # Only what a node asks for becomes its own: most ask for nothing, and there is one of these for each attempt.
    _facts: NodeFacts | None = None
    _connection: Connection | None = None
    _in_use = 0
    _is_borrowing = False
    _borrowed: anyio.Event | None = None
    """Made by who waits for the one that borrows."""
    _left_undone: dict[int, tuple[object, str]] | None = None
    _load: NodeLoad | None = None
    _work: WorkOfNode | None = None
    _exports: NodeExports | None = None

    def __init__(self, environment: NodeEnvironment, node: Node, attempt: int) -> None:
        self._environment = environment
        self._node = node
        self.attempt = attempt
        self.over = False
        """Whether the attempt has ended: nothing more is done for what it has left behind."""

    @property
    def facts(self) -> NodeFacts:
        if self._facts is None:
            environment = self._environment
            self._facts = NodeFacts(
                run_id=environment.run_id,
                node_id=self._node.id,
                node_name=self._node.name,
                attempt=self.attempt,
                target=environment.target,
                vars=environment.vars,
                is_reload=environment.is_reload,
                dry_run=environment.dry_run,
            )
        return self._facts

    @property
    def work(self) -> WorkOfNode:
        if self._work is None:
            services = self._environment.work
            with services.lock:
                self._work = self._work or WorkOfNode(services, self._node, self.attempt, self.progress)
        return self._work

    @property
    def begun_work(self) -> WorkOfNode | None:
        """None for a node that never asked for any."""
        return self._work

    @property
    def loading(self) -> NodeLoad:
        if self._load is None:
            environment = self._environment
            assert environment.loading is not None
            assert environment.commits is not None
            self._load = NodeLoad(
                self._node,
                environment.graph,
                environment.loading,
                environment.commits,
                run_id=environment.run_id,
                attempt=self.attempt,
                hold=self._hold,
                release=self._release,
                dry_run=environment.dry_run,
                how=BuildOrder(
                    is_built_later=environment.is_built_later,
                    tell=lambda message: self.log(message, "warning", {}),
                ),
            )
        return self._load

    @property
    def exports(self) -> NodeExports:
        services = self._environment.exporting
        if services is None:
            raise NodeError(
                "there is no folder that ctx.export() could write to",
                help="in a test give run_node(..., exports=tmp_path)",
            )
        with self._environment.work.lock:
            self._exports = self._exports or exporting.node_exports.NodeExports(
                services, self._node, self.attempt, self, hold=self._hold, release=self._release
            )
        return self._exports

    @property
    def exported(self) -> ExportRecord | None:
        """None for a node that never asked for an export."""
        return None if self._exports is None else self._exports.record

    # -- upstreams --------------------------------------------------------------------------------------------------

    def result_of(self, function: Callable[..., object]) -> UpstreamResult:
        upstream = self._declared(function)
        result = self._environment.results.get(upstream)
        if result is not None and result.status is not Status.WOULD_RUN:
            if result.status not in SUCCESSES:
                raise UpstreamHasNoResult(
                    f"{name_of(upstream)} has no result in this run: it was {result.status}",
                    help="give ctx.result_of(..., default=...) for this case",
                )
        else:
            result = self._environment.stored.get(upstream)
            if result is None:
                raise UpstreamHasNoResult(
                    f"{name_of(upstream)} is not part of this run and never succeeded in this target",
                    help=f"build it first with `sqb build +{self._node.name}`, or give default=...",
                )
        return as_upstream_result(result)

    async def results_of(self, function: Callable[..., object], limit: int) -> list[UpstreamResult]:
        upstream = self._declared(function)
        # The store reads over a connection of its own, which counts as this node's.
        await self._hold()
        try:
            environment = self._environment
            return await last_upstream_results(environment.store, upstream, environment.results.get(upstream), limit)
        finally:
            await self._release()

    def _declared(self, function: Callable[..., object]) -> NodeId:
        if isinstance(function, Reference):
            raise UndeclaredDependency(
                f"ctx.result_of() takes a node function, not {function!r}", help=f"use ctx.relation({function!r})"
            )
        declaration = declaration_of(function)
        if declaration is None:
            raise UndeclaredDependency(
                f"{getattr(function, '__name__', function)!r} is not a node",
                help="give the decorated function itself, as it stands in depends_on",
            )
        upstream = node_id(kind_of_declaration(declaration), declaration.declared.name)
        if upstream not in self._node.depends_on:
            name = declaration.declared.name
            raise UndeclaredDependency(
                f"{self._node.name} reads the result of {name} without depending on it",
                help=f"add depends_on={getattr(function, '__name__', name)} to its decorator",
            )
        return upstream

    def relation(self, reference: Reference) -> str:
        if not isinstance(reference, Reference):
            raise UndeclaredDependency(
                f"ctx.relation() takes model(), source() or seed(), not {reference!r}",
                help="for the result of a Python node use ctx.result_of(function)",
            )
        upstream = node_id(reference.kind, reference.name)
        if upstream not in self._node.depends_on:
            raise UndeclaredDependency(
                f"{self._node.name} reads {reference!r} without depending on it",
                help=f"add depends_on={reference!r} to its decorator",
            )
        node = self._environment.graph.nodes[upstream]
        if isinstance(node.declaration, Source) and node.sql is not None:
            # An expression, or a table whose declared types are cast when it is read.
            return render_source_expression(node.sql)
        assert node.relation is not None
        return quote_relation(node.relation)

    # -- statements -------------------------------------------------------------------------------------------------

    async def query(
        self, sql: str, parameters: Parameters, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> OpenResult:
        if self._environment.dry_run:
            refuse_writing(sql)
        connection = await self._hold()
        try:
            result = await connection.query(sql, parameters, arrow=arrow, extent=extent)
        except BaseException:
            await self._release()
            raise
        if result.closed:
            await self._release()
            return result
        return _HeldResult(result, self)

    async def execute(self, sql: str, parameters: Parameters) -> None:
        if self._environment.dry_run:
            refuse_writing(sql)
        connection = await self._hold()
        try:
            await connection.execute(sql, parameters)
        finally:
            await self._release()

    async def _hold(self) -> Connection:
        """The node's connection; it keeps one slot while anything of it is in use."""
        self._in_use += 1
        try:
            while self._connection is None:
                if not self._is_borrowing:
                    await self._borrow()
                else:
                    # Two statements of one node at once share the slot that the first one is still waiting for.
                    self._borrowed = self._borrowed or anyio.Event()
                    await self._borrowed.wait()
            self._refuse_late()
        except BaseException:
            await self._release()
            raise
        return self._connection

    async def _borrow(self) -> None:
        self._is_borrowing = True
        try:
            await self._take(await self._environment.slots.borrow())
        finally:
            self._is_borrowing = False
            if self._borrowed is not None:
                self._borrowed.set()
                self._borrowed = None

    def _refuse_late(self) -> None:
        if self.over:
            raise WarehouseError(f"{self._node.name} has ended, and with it what its ctx could do")

    async def _take(self, connection: Connection) -> None:
        if self._connection is None:
            self._connection = connection
        else:
            # Meanwhile ctx.connection has got one.
            await self._environment.slots.give_back(connection)

    async def _release(self) -> None:
        self._in_use -= 1
        if self._in_use <= 0 and self._connection is not None:
            connection, self._connection = self._connection, None
            # No shield: closing a connection has one of its own.
            await self._environment.slots.give_back(connection)

    def _abandoned(self) -> None:
        self._environment.bridge.call_soon(self._environment.bridge.start, self._release)

    def connection(self) -> Any:
        if not self._environment.bridge.on_loop:
            return self._environment.bridge.wait(self._raw_connection)
        self._refuse_late()
        if self._connection is None:
            self._connection = self._environment.slots.borrow_now()
            if self._connection is None:
                raise WarehouseError(
                    "all connections are in use at this moment, and ctx.connection does not wait in an async node",
                    help="await a statement with ctx.query(...) first, or raise [settings] connections",
                )
        # The raw object may be used until the node ends, so its slot is kept until then.
        self._in_use += 1
        return self._connection.raw

    async def _raw_connection(self) -> Any:
        connection = await self._hold()
        if connection.raw_is_async:
            await self._release()
            raise WarehouseError(
                "ctx.connection is a connection for `async def` here, and this is a `def`",
                help="make the function `async def`, or use ctx.query and ctx.execute_sql",
            )
        return connection.raw

    async def close(self) -> None:
        """The node ended: what it left open is closed and its slot given back."""
        self.over = True
        if self._work is not None:
            await self._work.close()
        if self._exports is not None:
            await self._exports.close()
        self._in_use = 1
        await self._release()
        await self.discard_load()

    async def discard_load(self) -> None:
        """Remove what a loader has staged and not applied."""
        if self.has_open_load:
            slots = self._environment.slots
            connection = await slots.borrow()
            try:
                await self.loading.discard(connection)
            finally:
                await slots.give_back(connection)

    @property
    def has_open_load(self) -> bool:
        return self._load is not None and self._load.is_open

    @property
    def holds_connection(self) -> bool:
        """Whether there is something that `close` has to do."""
        return (
            self._connection is not None
            or (self._load is not None and self._load.is_open)
            or (self._work is not None and self._work.must_be_closed)
            or (self._exports is not None and self._exports.must_be_closed)
        )

    # -- providers --------------------------------------------------------------------------------------------------

    def provider(self, name: str) -> Any:
        providing = provided_by(self._environment.providing, name)
        ready = providing.ready(name)
        if ready:
            return ready[0]
        if self._environment.bridge.on_loop:
            raise not_set_up(name, self._node.name)
        return self._environment.bridge.wait(providing.get, name)

    async def set_up_providers(self) -> None:
        """Those that the node may use, before it is called. Raises ProviderError."""
        for name in self._node.providers:
            await provided_by(self._environment.providing, name).get(name)

    # -- telling ----------------------------------------------------------------------------------------------------

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self._environment.publish(NodeProgress(self._environment.clock.now(), self._node.id, done, total, message))

    def log(self, message: str, level: str, fields: Mapping[str, object]) -> None:
        self._environment.said(
            NodeLogged(
                self._environment.clock.now(),
                self._node.id,
                self._node.name,
                self.attempt,
                level,
                message,
                _plain_fields(fields),
            )
        )

    def wait(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        return self._environment.bridge.wait(function, *args)

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return await anyio.to_thread.run_sync(function, *args)

    def note(self, token: object, message: str | None) -> None:
        if self._left_undone is None:
            self._left_undone = {}
        if message is None:
            self._left_undone.pop(id(token), None)
        else:
            # Holding the token keeps its id from being given to another object.
            self._left_undone[id(token)] = (token, message)

    def left_undone(self) -> list[str]:
        return [message for _, message in self._left_undone.values()] if self._left_undone else []


def _plain_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Sinks run later and elsewhere: they get values that can neither change nor raise."""
    return {
        name: value if isinstance(value, str | int | float | None) else text_of(value) for name, value in fields.items()
    }


class _HeldResult:
    """An open result that gives the node's connection back when its last row was read."""

    def __init__(self, result: OpenResult, session: RunningNode) -> None:
        self._result = result
        self._session: RunningNode | None = session

    @property
    def columns(self) -> tuple[str, ...]:
        return self._result.columns

    @property
    def closed(self) -> bool:
        return self._result.closed

    async def fetch(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        try:
            return await self._result.fetch(limit)
        finally:
            await self._settle()

    async def fetch_batch(self, rows: int) -> Any:
        try:
            return await self._result.fetch_batch(rows)
        finally:
            await self._settle()

    async def close(self) -> None:
        try:
            await self._result.close()
        finally:
            await self._settle()

    async def _settle(self) -> None:
        if self._result.closed and self._session is not None:
            session, self._session = self._session, None
            await session._release()

    def abandon(self) -> None:
        session, self._session = self._session, None
        self._result.abandon()
        if session is not None:
            session._abandoned()
