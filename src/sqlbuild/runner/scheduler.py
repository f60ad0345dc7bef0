"""Which nodes may run, given how others ended: a pure state machine.

Facts in (`begin`, `staged`, `finished`, `stop`, `settle_rest`), commands out (`Ready`, `Promote`, `Reject`, `Settle`); no
clock, no loop, no threads. Each node is told `Ready` at most once and gets exactly one ending: the one given to
`finished`, or a `Settle`.

A node may have gates: nodes that look at what it has staged, before that takes effect. They become ready when it is
`staged`, and when the last of them has ended it is told `Promote` or `Reject`, once. If it ends without having staged
anything, they follow it as any other node does.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Container, Iterable, Mapping

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.nodes import Requires
from sqlbuild.domain.record import record
from sqlbuild.domain.results import FAILURES, SUCCESSES, SkipMode, Status


@record(frozen=True, slots=True)
class Ready:
    """The node may start as soon as there is room."""

    node: NodeId


@record(frozen=True, slots=True)
class Settle:
    """The node will never start. `because_of` is the first cause (blocked) or the skipped upstreams (skipped)."""

    node: NodeId
    status: Status
    because_of: tuple[NodeId, ...] = ()


@record(frozen=True, slots=True)
class Promote:
    """All gates of the node have succeeded: what it has staged may take effect."""

    node: NodeId


@record(frozen=True, slots=True)
class Reject:
    """What the node has staged must not take effect, because of these gates; in the order in which they ended."""

    node: NodeId
    because_of: tuple[NodeId, ...]


Command = Ready | Promote | Reject | Settle


@dataclasses.dataclass(slots=True)
class _Waiting:
    upstream: tuple[NodeId, ...]
    requires: Requires
    unfinished: int
    skipped: int = 0


@dataclasses.dataclass(slots=True)
class _Gated:
    """A node with gates. Before it has staged anything they are among its downstream."""

    gates: list[NodeId] = dataclasses.field(default_factory=list)
    is_staged: bool = False
    left: int = 0
    """Gates that have not ended."""
    failed: list[NodeId] = dataclasses.field(default_factory=list)


_NO_GATES: Mapping[NodeId, NodeId] = {}


class Scheduler:
    """`upstream` maps every node of the run to its upstreams inside the run, in a topological order; `gates` maps each
    gate to the one of its upstreams that it guards. `not_read` are pairs of an upstream and a node that only waits for it:
    whether it was skipped says nothing of what the node reads."""

    def __init__(
        self,
        upstream: Mapping[NodeId, tuple[NodeId, ...]],
        requires: Mapping[NodeId, Requires],
        gates: Mapping[NodeId, NodeId] = _NO_GATES,
        not_read: Container[tuple[NodeId, NodeId]] = frozenset(),
    ) -> None:
        self._waiting: dict[NodeId, _Waiting] = {}
        self._roots: list[NodeId] = []
        """Until it has begun: nothing has to be known of a node that waits for none."""
        self._downstream: dict[NodeId, list[NodeId]] = {}
        self._skipped: set[NodeId] = set()
        self._stopped = False
        self._guards = gates
        self._gated: dict[NodeId, _Gated] = {}
        for node, parents in upstream.items():
            if not parents:
                self._roots.append(node)
                continue
            read = tuple([parent for parent in parents if (parent, node) not in not_read]) if not_read else parents
            self._waiting[node] = _Waiting(read, requires.get(node, "any"), len(parents))
            for parent in parents:
                self._downstream.setdefault(parent, []).append(node)
        for gate, node in gates.items():
            gated = self._gated.setdefault(node, _Gated())
            gated.gates.append(gate)
            gated.left += 1

    @property
    def waiting(self) -> int:
        """How many nodes have neither been told ready nor settled."""
        return len(self._roots) + len(self._waiting)

    def begin(self) -> list[Ready]:
        roots, self._roots = self._roots, []
        return [Ready(node) for node in roots]

    def staged(self, node: NodeId) -> list[Command]:
        """What follows when a node that has gates, and was told `Ready`, has staged what it made."""
        gated = self._gated[node]
        gated.is_staged = True
        below = self._downstream[node]
        self._downstream[node] = [child for child in below if self._guards.get(child) != node]
        commands: list[Command] = []
        for gate in gated.gates:
            facts = self._waiting.get(gate)
            if facts is None:
                continue
            facts.unfinished -= 1
            if not facts.unfinished and not self._stopped:
                del self._waiting[gate]
                commands.append(Ready(gate))
        return commands or self._verdict(node, gated)

    def _gate_ended(self, gate: NodeId, succeeded: bool) -> list[Command]:
        node = self._guards[gate]
        gated = self._gated[node]
        gated.left -= 1
        if not succeeded:
            gated.failed.append(gate)
        return self._verdict(node, gated) if gated.is_staged else []

    def _verdict(self, node: NodeId, gated: _Gated) -> list[Command]:
        if gated.left:
            return []
        return [Reject(node, tuple(gated.failed)) if gated.failed else Promote(node)]

    def finished(self, node: NodeId, status: Status, skip_mode: SkipMode | None = None) -> list[Command]:
        """What follows from the end of a node that was told `Ready`."""
        commands = self._gate_ended(node, status in SUCCESSES) if node in self._guards else []
        if node not in self._downstream:
            return commands
        ended = deque([(node, status, skip_mode, node)])
        while ended:
            current, how, mode, cause = ended.popleft()
            children = self._downstream.get(current, ())
            if how in FAILURES or how is Status.BLOCKED or (how is Status.SKIPPED and mode is SkipMode.HARD):
                for child in children:
                    # A child may already be blocked by another upstream: it keeps its first cause.
                    if self._waiting.pop(child, None) is not None:
                        commands.append(Settle(child, Status.BLOCKED, (cause,)))
                        ended.append((child, Status.BLOCKED, None, cause))
                        if child in self._guards:
                            commands += self._gate_ended(child, False)
                continue
            skipped = how is Status.SKIPPED
            if skipped:
                self._skipped.add(current)
            for child in children:
                facts = self._waiting.get(child)
                if facts is None:
                    continue
                facts.unfinished -= 1
                if skipped and current in facts.upstream:
                    facts.skipped += 1
                if facts.unfinished or self._stopped:
                    continue
                del self._waiting[child]
                if facts.skipped and _skips(facts):
                    causes = tuple(parent for parent in facts.upstream if parent in self._skipped)
                    commands.append(Settle(child, Status.SKIPPED, causes))
                    ended.append((child, Status.SKIPPED, SkipMode.SOFT, child))
                    if child in self._guards:
                        commands += self._gate_ended(child, False)
                else:
                    commands.append(Ready(child))
        return commands

    def stop(self) -> None:
        """From now on nothing becomes ready. Failures still block: `blocked` comes before `not_started`."""
        self._stopped = True

    def settle_rest(self, ready_but_not_started: Iterable[NodeId] = ()) -> list[Command]:
        """After a stop, when nothing runs any more: the ending of everything that never started."""
        rest = [*ready_but_not_started, *self._roots, *self._waiting]
        self._roots.clear()
        self._waiting.clear()
        return [Settle(node, Status.NOT_STARTED) for node in rest]


def _skips(facts: _Waiting) -> bool:
    """Of a node some of whose upstreams were skipped."""
    match facts.requires:
        case "any":
            return facts.skipped == len(facts.upstream)
        case "all":
            return True
        case "none_failed":
            return False
