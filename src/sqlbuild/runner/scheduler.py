"""Which nodes may run, given how others ended: a pure state machine.

Facts in (`begin`, `finished`, `stop`, `settle_rest`), commands out (`Ready`, `Settle`); no clock, no loop, no threads.
Each node is told `Ready` at most once and gets exactly one ending: the one given to `finished`, or a `Settle`.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.nodes import Requires
from sqlbuild.domain.results import FAILURES, SkipMode, Status


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """The node may start as soon as there is room."""

    node: NodeId


@dataclasses.dataclass(frozen=True, slots=True)
class Settle:
    """The node will never start. `because_of` is the first cause (blocked) or the skipped upstreams (skipped)."""

    node: NodeId
    status: Status
    because_of: tuple[NodeId, ...] = ()


Command = Ready | Settle


@dataclasses.dataclass(slots=True)
class _Waiting:
    upstream: tuple[NodeId, ...]
    requires: Requires
    unfinished: int
    skipped: int = 0


class Scheduler:
    """`upstream` maps every node of the run to its upstreams inside the run, in a topological order."""

    def __init__(self, upstream: Mapping[NodeId, tuple[NodeId, ...]], requires: Mapping[NodeId, Requires]) -> None:
        self._waiting: dict[NodeId, _Waiting] = {}
        self._downstream: dict[NodeId, list[NodeId]] = {}
        self._skipped: set[NodeId] = set()
        self._stopped = False
        for node, parents in upstream.items():
            self._waiting[node] = _Waiting(parents, requires.get(node, "any"), len(parents))
            for parent in parents:
                self._downstream.setdefault(parent, []).append(node)

    @property
    def waiting(self) -> int:
        """How many nodes have neither been told ready nor settled."""
        return len(self._waiting)

    def begin(self) -> list[Command]:
        roots = [node for node, facts in self._waiting.items() if not facts.unfinished]
        for node in roots:
            del self._waiting[node]
        return [Ready(node) for node in roots]

    def finished(self, node: NodeId, status: Status, skip_mode: SkipMode | None = None) -> list[Command]:
        """What follows from the end of a node that was told `Ready`."""
        if node not in self._downstream:
            return []
        commands: list[Command] = []
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
                continue
            skipped = how is Status.SKIPPED
            if skipped:
                self._skipped.add(current)
            for child in children:
                facts = self._waiting.get(child)
                if facts is None:
                    continue
                facts.unfinished -= 1
                facts.skipped += skipped
                if facts.unfinished or self._stopped:
                    continue
                del self._waiting[child]
                if _skips(facts):
                    causes = tuple(parent for parent in facts.upstream if parent in self._skipped)
                    commands.append(Settle(child, Status.SKIPPED, causes))
                    ended.append((child, Status.SKIPPED, SkipMode.SOFT, child))
                else:
                    commands.append(Ready(child))
        return commands

    def stop(self) -> None:
        """From now on nothing becomes ready. Failures still block: `blocked` comes before `not_started`."""
        self._stopped = True

    def settle_rest(self, ready_but_not_started: Iterable[NodeId] = ()) -> list[Command]:
        """After a stop, when nothing runs any more: the ending of everything that never started."""
        rest = [*ready_but_not_started, *self._waiting]
        self._waiting.clear()
        return [Settle(node, Status.NOT_STARTED) for node in rest]


def _skips(facts: _Waiting) -> bool:
    match facts.requires:
        case "any":
            return bool(facts.upstream) and facts.skipped == len(facts.upstream)
        case "all":
            return facts.skipped > 0
        case "none_failed":
            return False
