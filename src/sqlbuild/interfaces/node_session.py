"""What a running node can ask of the engine. The contexts users see are thin faces over this."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlbuild.domain.record import record
from sqlbuild.domain.results import UpstreamResult
from sqlbuild.interfaces.warehouse import Extent, OpenResult, Parameters
from sqlbuild.refs import Reference

if TYPE_CHECKING:
    from sqlbuild.interfaces.exporting import ExportSession
    from sqlbuild.interfaces.loading import LoadSession
    from sqlbuild.interfaces.node_work import NodeWork

T = TypeVar("T")


@record(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What a node may know of itself and its run."""

    run_id: str
    node_id: str
    node_name: str
    attempt: int
    target: str
    vars: Mapping[str, object]
    is_reload: bool = False
    dry_run: bool = False

    @property
    def idempotency_key(self) -> str:
        """The first half of a SHA-256 in hexadecimal digits, as long as a UUID: it fits into any service's header."""
        return hashlib.sha256(f"{self.run_id} {self.node_id}".encode()).hexdigest()[:32]


class NodeSession(Protocol):
    """One attempt of one node."""

    @property
    def facts(self) -> NodeFacts: ...

    @property
    def loading(self) -> LoadSession:
        """Of a loader."""

    @property
    def work(self) -> NodeWork:
        """Pools, checkpoints and maps; from any thread."""

    @property
    def exports(self) -> ExportSession: ...

    def result_of(self, function: Callable[..., object]) -> UpstreamResult:
        """The result of a declared upstream. Raises UndeclaredDependency, UpstreamHasNoResult."""

    async def results_of(self, function: Callable[..., object], limit: int) -> list[UpstreamResult]:
        """The last successes of a declared upstream, newest first. Raises UndeclaredDependency."""

    def relation(self, reference: Reference) -> str:
        """Quoted, qualified name. Raises UndeclaredDependency."""

    async def query(
        self, sql: str, parameters: Parameters, *, arrow: bool = False, extent: Extent = Extent.PAGES
    ) -> OpenResult:
        """Waits for a connection slot; the node keeps it until its last open result is closed."""

    async def execute(self, sql: str, parameters: Parameters) -> None: ...

    def connection(self) -> Any:
        """The driver's own object. From a `def` node it is called on the node's thread."""

    def provider(self, name: str) -> Any:
        """A provider of the project. On a `def` node's thread it is set up first; for an `async def` it must be.

        Raises ProviderError.
        """

    def progress(self, done: float, total: float | None, message: str | None) -> None: ...

    def log(self, message: str, level: str, fields: Mapping[str, object]) -> None: ...

    def wait(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """From a `def` node's thread: run an async function on the event loop and wait for its result.

        Raises NodeCancelled when the run is being stopped, MissingAwait on the event loop's own thread.
        """

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """From an `async def` node: run a blocking function of the engine, such as a conversion, on another thread."""

    def note(self, token: object, message: str | None) -> None:
        """Remember (`message`) or forget (None) something the node must do before it returns, such as awaiting
        a pending call or returning a skip; what is still remembered at its end fails the node with `message`.

        Tokens are told apart by identity and kept alive while remembered. A `def` node calls it on its own thread.
        """
