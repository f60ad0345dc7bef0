"""Who may start now: lanes, pools and what waits for them; pure, with the clock passed in.

A node needs one slot of its lane, and one slot and one token of each of its pools, all at once or none. Nodes with the
same needs wait in one queue, longest remaining path first, so a full pool delays only those that need it. Statements of
Python nodes share the `connections` lane with SQL nodes; when both wait they take turns.

A `ctx.pool` block of a running node needs a slot and a token of each pool it names. Blocks come first come, first
served; where a block and a node wait for the same pool they take turns. Whoever needs several pools is overtaken while
one of them is full or has no token. A node's own slot is lent to one block of that node at a time.

Helpers are threads for the items of a `def` node's `ctx.map`: they get what no node can use.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from sqlbuild.domain.ids import NodeId
from sqlbuild.runner.rates import Rate, TokenBucket


class Lane(enum.StrEnum):
    CONCURRENCY = "concurrency"
    THREADS = "threads"
    CONNECTIONS = "connections"


_CONNECTIONS = Lane.CONNECTIONS.value
_THREADS = Lane.THREADS.value

Need = tuple[str, ...]
"""A lane's value followed by pool keys."""

Request = TypeVar("Request")


class Signal(Protocol):
    def set(self) -> None: ...


class Waiter(Protocol):
    """Whoever waits for a slot outside of the queues of nodes."""

    @property
    def granted(self) -> Signal:
        """Set once the slot is taken."""


def pool_key(pool: str) -> str:
    return f"pool:{pool}"


def need_of(lane: Lane, pools: tuple[str, ...]) -> Need:
    return (lane.value, *sorted({pool_key(pool) for pool in pools}))


class Lender:
    """The pool slots that a running node holds itself and lends to its blocks; `home` are those not lent now."""

    __slots__ = ("closed", "home")

    def __init__(self, pools: Iterable[str]) -> None:
        self.home = set(pools)
        self.closed = False


_Entry = tuple[float, int, NodeId]
"""Of a node that waits: its priority, negated, and when it came; the smallest is the next."""


class _Queue:
    """Nodes with the same needs. Those that come in the order in which they will start, as most do, are never sorted."""

    __slots__ = ("in_order", "others")

    def __init__(self) -> None:
        self.in_order: deque[_Entry] = deque()
        self.others: list[_Entry] = []
        """A heap."""

    def add(self, entry: _Entry) -> None:
        if not self.in_order or entry > self.in_order[-1]:
            self.in_order.append(entry)
        else:
            heapq.heappush(self.others, entry)

    def first(self) -> _Entry:
        if self.others and (not self.in_order or self.others[0] < self.in_order[0]):
            return self.others[0]
        return self.in_order[0]

    def take(self) -> NodeId:
        if self.others and (not self.in_order or self.others[0] < self.in_order[0]):
            return heapq.heappop(self.others)[2]
        return self.in_order.popleft()[2]

    def __len__(self) -> int:
        return len(self.in_order) + len(self.others)


class Block(Generic[Request]):
    """A `ctx.pool` block that waits or holds; `request` is told when it holds. `pools` are keys, each once."""

    __slots__ = ("_arrival", "lender", "pools", "request", "state")

    def __init__(self, pools: tuple[str, ...], lender: Lender | None, request: Request) -> None:
        self.pools = pools
        self.lender = lender
        self.request = request
        self.state: dict[str, bool] | None = None
        """Of a block that holds: whether the slot of each pool is one that its node has lent."""
        self._arrival = 0


class Capacity(Generic[Request]):
    """`limits` maps lane values and pool keys to how many may hold them at once (1 or more), `rates` pool keys.

    `monotonic` tells the seconds of a clock that never runs backwards; it is asked only where a pool has a rate or pauses.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        rates: Mapping[str, Rate] | None = None,
        monotonic: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._limits = dict(limits)
        self._free = dict(limits)
        self._monotonic = monotonic
        self._buckets = {name: TokenBucket(rate) for name, rate in (rates or {}).items()}
        self._queues: dict[Need, _Queue] = {}
        self._statements: deque[Request] = deque()
        self._statement_was_last = False
        self._blocks: dict[tuple[tuple[str, ...], Lender | None], OrderedDict[Block[Request], None]] = {}
        self._block_was_last: set[str] = set()
        self._helpers: deque[Request] = deque()
        self._arrivals = 0
        self._now = 0.0
        self.due: float | None = None
        """When the next token comes that something waits for which has all else; on the monotonic clock."""

    def in_use(self) -> dict[str, int]:
        return {name: limit - self._free[name] for name, limit in self._limits.items()}

    # -- nodes ------------------------------------------------------------------------------------------------------

    def add(self, node: NodeId, need: Need, priority: float) -> None:
        """`node` waits for `need`; a higher priority starts first, equal ones in the order they came."""
        queue = self._queues.get(need)
        if queue is None:
            queue = self._queues[need] = _Queue()
        self._arrivals += 1
        queue.add((-priority, self._arrivals, node))

    def give_back(self, need: Need) -> None:
        for name in need:
            free = self._free[name] + 1
            if free > self._limits[name]:
                raise AssertionError(f"a slot of {name} was given back twice")
            self._free[name] = free

    def give_back_lending(self, need: Need, lender: Lender) -> None:
        """For a node that has lent slots: those that are out come back with their blocks."""
        lender.closed = True
        self.give_back((need[0], *lender.home))

    def drain(self) -> list[NodeId]:
        """Forget every node that waits, and tell which did; what running nodes wait for is waited for on."""
        nodes = [queue.take() for queue in self._queues.values() for _ in range(len(queue))]
        self._queues.clear()
        return nodes

    def nodes_wait_for_threads(self) -> bool:
        """Whether a node could start if only it had a thread."""
        return any(
            need[0] == _THREADS and all(self._free[name] > 0 for name in need[1:]) and self._has_tokens(need[1:])
            for need in self._queues
        )

    # -- what running nodes ask for ---------------------------------------------------------------------------------

    def add_statement(self, statement: Request) -> bool:
        """A statement of a running node waits for a connection. False if there is none that is free."""
        self._statements.append(statement)
        return self._free[_CONNECTIONS] > 0

    def withdraw_statement(self, statement: Request) -> bool:
        """Forget a waiting statement; False if it has its slot already (then it must be given back)."""
        return _withdrawn(self._statements, statement)

    def give_back_statement(self) -> None:
        self.give_back((_CONNECTIONS,))

    def add_helper(self, helper: Request) -> None:
        """One more thread is welcome."""
        self._helpers.append(helper)

    def withdraw_helper(self, helper: Request) -> bool:
        """False if it has its thread already (then it must be given back)."""
        return _withdrawn(self._helpers, helper)

    def give_back_helper(self) -> None:
        self.give_back((_THREADS,))

    def add_block(self, block: Block[Request]) -> None:
        self._arrivals += 1
        block._arrival = self._arrivals
        key = (block.pools, block.lender)
        queue = self._blocks.get(key)
        if queue is None:
            # Many may be withdrawn at once, from anywhere in the queue.
            queue = self._blocks[key] = OrderedDict()
        queue[block] = None

    def withdraw_block(self, block: Block[Request]) -> bool:
        """Forget a waiting block; False if it holds its slots already (then they must be given back)."""
        key = (block.pools, block.lender)
        queue = self._blocks.get(key)
        if queue is None or block not in queue:
            return False
        del queue[block]
        if not queue:
            del self._blocks[key]
        return True

    def give_back_block(self, block: Block[Request]) -> None:
        assert block.state is not None
        for name, is_lent in block.state.items():
            if is_lent and block.lender is not None and not block.lender.closed:
                block.lender.home.add(name)
            else:
                self.give_back((name,))
        block.state = None

    def pause(self, pools: tuple[str, ...], until: float) -> None:
        """Nothing takes one of these pools before the monotonic clock reaches `until`."""
        for name in pools:
            self._buckets.setdefault(name, TokenBucket(None)).pause(until)

    def paused_until(self, pool: str) -> float:
        """A moment of the monotonic clock, minus infinity for a pool that never paused."""
        bucket = self._buckets.get(pool)
        return -math.inf if bucket is None else bucket.paused_until

    # -- granting ---------------------------------------------------------------------------------------------------

    def grant(self) -> tuple[list[tuple[NodeId, Need]], list[Request]]:
        """Take slots for everything that may start now: nodes with what they hold, and requests of running nodes."""
        if len(self._queues) < 2 and not (self._statements or self._blocks or self._helpers or self._buckets):
            for need, queue in self._queues.items():
                if len(need) == 1:
                    return self._take_in_turn(need, queue), []
                break
            else:
                return [], []
        nodes: list[tuple[NodeId, Need]] = []
        requests: list[Request] = []
        free = self._free
        while True:
            if self._buckets:
                self._now, self.due = self._monotonic(), None
            best = self._best_queue() if self._queues else None
            if self._statements and free[_CONNECTIONS] > 0:
                sql_node_waits = best is not None and best[0] == _CONNECTIONS
                if not (sql_node_waits and self._statement_was_last):
                    free[_CONNECTIONS] -= 1
                    self._statement_was_last = True
                    requests.append(self._statements.popleft())
                    continue
            if self._blocks:
                block = self._best_block()
                rival = self._rival(block) if block is not None else None
                if block is not None and rival is None:
                    requests.append(self._take_block(block))
                    continue
                best = rival or best
            if best is not None:
                nodes.append((self._take_node(best), best))
            elif self._helpers and free[_THREADS] > 0:
                free[_THREADS] -= 1
                requests.append(self._helpers.popleft())
            else:
                return nodes, requests

    def _take_in_turn(self, need: Need, queue: _Queue) -> list[tuple[NodeId, Need]]:
        """Where nobody waits but nodes of one lane that need no pool, as at most moments of most runs."""
        lane = need[0]
        free, waiting = self._free[lane], len(queue)
        number = free if free < waiting else waiting
        if not number:
            return []
        self._free[lane] = free - number
        if lane == _CONNECTIONS:
            self._statement_was_last = False
        if number == waiting:
            del self._queues[need]
        return [(queue.take(), need) for _ in range(number)]

    def _take_node(self, need: Need) -> NodeId:
        lane = need[0]
        self._free[lane] -= 1
        if lane == _CONNECTIONS:
            self._statement_was_last = False
        if len(need) > 1:
            for name in need[1:]:
                self._free[name] -= 1
            self._block_was_last.difference_update(need)
            self._take_tokens(need[1:])
        queue = self._queues[need]
        node = queue.take()
        if not queue:
            del self._queues[need]
        return node

    def _take_block(self, block: Block[Request]) -> Request:
        key = (block.pools, block.lender)
        queue = self._blocks[key]
        del queue[block]
        if not queue:
            del self._blocks[key]
        home = block.lender.home if block.lender is not None else ()
        block.state = {name: name in home for name in block.pools}
        for name, is_lent in block.state.items():
            if is_lent:
                assert block.lender is not None
                block.lender.home.discard(name)
            else:
                self._free[name] -= 1
        self._block_was_last.update(block.pools)
        self._take_tokens(block.pools)
        return block.request

    def _best_queue(self) -> Need | None:
        best: Need | None = None
        best_entry: _Entry | None = None
        free = self._free
        for need, queue in self._queues.items():
            if free[need[0]] <= 0 or (best_entry is not None and queue.first() > best_entry):
                continue
            if len(need) == 1 or (all(free[name] > 0 for name in need[1:]) and self._has_tokens(need[1:])):
                best, best_entry = need, queue.first()
        return best

    def _best_block(self) -> Block[Request] | None:
        best: Block[Request] | None = None
        free = self._free
        for (pools, lender), queue in self._blocks.items():
            block = next(iter(queue))
            if best is not None and block._arrival > best._arrival:
                continue
            home = lender.home if lender is not None else ()
            if all(free[name] > 0 or name in home for name in pools) and self._has_tokens(pools):
                best = block
        return best

    def _rival(self, block: Block[Request]) -> Need | None:
        """A node that waits for what `block` would take, and whose turn it is."""
        home = block.lender.home if block.lender is not None else ()
        contested = {
            name for name in block.pools if name in self._block_was_last and (name not in home or name in self._buckets)
        }
        if not contested:
            return None
        best: Need | None = None
        for need, queue in self._queues.items():
            if contested.isdisjoint(need) or (best is not None and queue.first() > self._queues[best].first()):
                continue
            if all(self._free[name] > 0 for name in need) and self._has_tokens(need[1:]):
                best = need
        return best

    def _has_tokens(self, pools: tuple[str, ...]) -> bool:
        """Of each pool now; if not, remember when."""
        if not self._buckets:
            return True
        at = max((self._buckets[name].next_at for name in pools if name in self._buckets), default=-math.inf)
        if at <= self._now:
            return True
        self.due = at if self.due is None else min(self.due, at)
        return False

    def _take_tokens(self, pools: tuple[str, ...]) -> None:
        for name in pools:
            bucket = self._buckets.get(name)
            if bucket is not None:
                bucket.take(self._now)


def _withdrawn(queue: deque[Request], entry: Request) -> bool:
    try:
        queue.remove(entry)
    except ValueError:
        return False
    return True
