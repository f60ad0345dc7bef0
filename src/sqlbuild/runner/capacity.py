"""Who may start now: lanes, pools and the ready nodes that wait for them; pure.

A node needs one slot of its lane and one of each of its pools, all at once or none. Nodes with the same needs wait in
one queue, longest remaining path first, so a full pool delays only those that need it. Statements of Python nodes
share the `connections` lane with SQL nodes; when both wait they take turns.
"""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from sqlbuild.domain.ids import NodeId


class Lane(enum.StrEnum):
    CONCURRENCY = "concurrency"
    THREADS = "threads"
    CONNECTIONS = "connections"


_CONNECTIONS = Lane.CONNECTIONS.value

Need = tuple[str, ...]
"""A lane's value followed by pool keys."""

Statement = TypeVar("Statement")


def pool_key(pool: str) -> str:
    return f"pool:{pool}"


def need_of(lane: Lane, pools: tuple[str, ...]) -> Need:
    return (lane.value, *sorted({pool_key(pool) for pool in pools}))


class Capacity(Generic[Statement]):
    """`limits` maps lane values and pool keys to how many may hold them at once (1 or more)."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = dict(limits)
        self._free = dict(limits)
        self._queues: dict[Need, list[tuple[float, int, NodeId]]] = {}
        self._statements: deque[Statement] = deque()
        self._statement_was_last = False
        self._arrivals = 0

    def in_use(self) -> dict[str, int]:
        return {name: limit - self._free[name] for name, limit in self._limits.items()}

    def add(self, node: NodeId, need: Need, priority: float) -> None:
        """`node` waits for `need`; a higher priority starts first, equal ones in the order they came."""
        queue = self._queues.get(need)
        if queue is None:
            queue = self._queues[need] = []
        self._arrivals += 1
        heapq.heappush(queue, (-priority, self._arrivals, node))

    def add_statement(self, statement: Statement) -> None:
        """A statement of a running node waits for a connection."""
        self._statements.append(statement)

    def withdraw_statement(self, statement: Statement) -> bool:
        """Forget a waiting statement; False if it has its slot already (then it must be given back)."""
        try:
            self._statements.remove(statement)
        except ValueError:
            return False
        return True

    def grant(self) -> tuple[list[tuple[NodeId, Need]], list[Statement]]:
        """Take slots for everything that may start now: nodes with what they hold, and statements."""
        nodes: list[tuple[NodeId, Need]] = []
        statements: list[Statement] = []
        free = self._free
        while True:
            best = self._best_queue()
            if self._statements and free[_CONNECTIONS] > 0:
                sql_node_waits = best is not None and best[0] == _CONNECTIONS
                if not (sql_node_waits and self._statement_was_last):
                    free[_CONNECTIONS] -= 1
                    self._statement_was_last = True
                    statements.append(self._statements.popleft())
                    continue
            if best is None:
                return nodes, statements
            if best[0] == _CONNECTIONS:
                self._statement_was_last = False
            for name in best:
                free[name] -= 1
            queue = self._queues[best]
            nodes.append((heapq.heappop(queue)[2], best))
            if not queue:
                del self._queues[best]

    def give_back(self, need: Need) -> None:
        for name in need:
            if self._free[name] >= self._limits[name]:
                raise AssertionError(f"a slot of {name} was given back twice")
            self._free[name] += 1

    def give_back_statement(self) -> None:
        self.give_back((Lane.CONNECTIONS.value,))

    def drain(self) -> list[NodeId]:
        """Forget every node that waits, and tell which did; statements of running nodes wait on."""
        nodes = [entry[2] for queue in self._queues.values() for entry in sorted(queue)]
        self._queues.clear()
        return nodes

    def _best_queue(self) -> Need | None:
        best: Need | None = None
        best_entry: tuple[float, int, NodeId] | None = None
        free = self._free
        for need, queue in self._queues.items():
            if best_entry is not None and queue[0] > best_entry:
                continue
            for name in need:
                if free[name] <= 0:
                    break
            else:
                best, best_entry = need, queue[0]
        return best
