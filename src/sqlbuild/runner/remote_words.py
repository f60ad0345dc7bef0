"""What a run and a worker process say to each other, besides beginning and ending; all of it plain data.

worker  ("ask", number, member, arguments)      a member of the node's session, such as "query" or "loading.stage"
run     ("answer", number, CarriedError | None, value)
worker  ("tell", member, arguments)             nobody waits for an answer; also "warn", with a text, and "hide", with
                                                the secrets of a provider that the worker has made
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlbuild.authoring.declare import declaration_of
from sqlbuild.authoring.queries import import_pyarrow
from sqlbuild.domain.ids import NodeId, node_id
from sqlbuild.domain.nodes import kind_of_declaration
from sqlbuild.domain.record import record
from sqlbuild.domain.results import ErrorFacts
from sqlbuild.interfaces.node_session import NodeFacts
from sqlbuild.refs import Reference
from sqlbuild.runner.carried_errors import CarriedError
from sqlbuild.runner.error_facts import text_of
from sqlbuild.runner.outcomes import Outcome


@record(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """One attempt of one node. `path` is the file that declares it, relative to the project."""

    node: NodeId
    path: str
    settings: Mapping[str, Any]
    """Fields of its declaration that are not as the file has them, such as those of a managed source."""
    facts: NodeFacts
    providers: tuple[str, ...]
    """Those that it may use."""
    backend: str
    """Of the event loop on which async providers live: asyncio or trio."""
    max_bytes: int
    helpers: int
    """Threads that `ctx.map` may have beside the node's own."""
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)


@record(frozen=True, slots=True)
class CarriedRaise:
    """How an attempt ended that raised; `facts` has the author's traceback."""

    error: CarriedError
    facts: ErrorFacts
    asked_wait: float | None = None
    """Seconds that a service has asked to wait."""
    wait_is_told: bool = False
    """A `ctx.pool` block has paused its pools for them already."""


@record(frozen=True, slots=True)
class WasCancelled:
    """The node left with NodeCancelled."""


RemoteEnding = Outcome | CarriedRaise | WasCancelled
"""What a worker tells at the end: an outcome that is plain data already, or one of the others."""


@record(frozen=True, slots=True)
class NamedFunction:
    """A function on its way: a node's by its id, any other only by its name, for the message that refuses it."""

    node: NodeId | None
    name: str


def named(function: Any) -> NamedFunction | Reference:
    """What a member of the session is given in place of a function; a reference stays what it is."""
    if isinstance(function, Reference):
        return function
    declaration = declaration_of(function)
    if declaration is None:
        return NamedFunction(None, text_of(getattr(function, "__name__", None) or repr(function)))
    return NamedFunction(
        node_id(kind_of_declaration(declaration), declaration.declared.name),
        text_of(getattr(function, "__name__", declaration.declared.name)),
    )


@record(frozen=True, slots=True)
class RemoteRows:
    """An open result on the run's side."""

    number: int
    columns: tuple[str, ...]
    closed: bool


@record(frozen=True, slots=True)
class ArrowBytes:
    """A record batch as an Arrow IPC stream: its dictionaries travel with it."""

    stream: bytes


def arrow_bytes(batch: Any) -> ArrowBytes:
    arrow = import_pyarrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return ArrowBytes(sink.getvalue().to_pybytes())


def arrow_batch(carried: ArrowBytes) -> Any:
    with import_pyarrow().ipc.open_stream(carried.stream) as reader:
        return reader.read_next_batch()


def plain_facts(facts: NodeFacts) -> NodeFacts:
    """`vars` may be a view of something that cannot be sent."""
    return dataclasses.replace(facts, vars=_plain(facts.vars))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
