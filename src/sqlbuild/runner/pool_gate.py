"""`ctx.pool` blocks: they wait here for slots and tokens, and pause their pools when a service asks for it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import anyio
import anyio.lowlevel

from sqlbuild.domain.events import Event, PoolPaused, PoolUse
from sqlbuild.domain.graph import Node
from sqlbuild.errors import NodeError, PoolError, PoolOrder
from sqlbuild.interfaces.clock import Clock
from sqlbuild.runner.alarms import Alarms
from sqlbuild.runner.capacity import Block, Capacity, Lender, Waiter, pool_key
from sqlbuild.runner.connection_slots import ConnectionRequest

USE_SECONDS = 0.1
"""Between two events about the use of pools."""
LONGER_SECONDS = 1.0
"""A pause that another answer makes longer is told again from so many seconds on."""


class PoolGate:
    """All blocks of a run. `names` are the pools in the order of the settings; `grant` lets start what may."""

    def __init__(
        self,
        capacity: Capacity[Waiter],
        names: Iterable[str],
        clock: Clock,
        alarms: Alarms,
        publish: Callable[[Event], None],
        grant: Callable[[], None],
    ) -> None:
        self._capacity = capacity
        self._rank = {name: rank for rank, name in enumerate(names)}
        self._clock = clock
        self._alarms = alarms
        self._publish = publish
        self._grant = grant
        self._wakes_at = math.inf
        self._use_is_due = False
        self._used: dict[str, int] = {}
        self._waiting: dict[str, int] = {}

    def wake_at(self, moment: float) -> None:
        """The next token comes at `moment`: then somebody may start."""
        if moment < self._wakes_at:
            self._wakes_at = moment
            self._alarms.at(moment, self._wake)

    def _wake(self) -> None:
        self._wakes_at = math.inf
        self._grant()

    def alarms_are_cleared(self) -> None:
        self._wakes_at = math.inf
        self._use_is_due = False

    def pause(self, names: tuple[str, ...], seconds: float, node: Node) -> None:
        """Nobody takes one of these pools for so many seconds."""
        now, until = self._clock.monotonic(), self._clock.monotonic() + seconds
        for name in names:
            before = max(self._capacity.paused_until(pool_key(name)), now)
            if until > before:
                self._capacity.pause((pool_key(name),), until)
                if before == now or until - before >= LONGER_SECONDS:
                    self._publish(PoolPaused(self._clock.now(), name, seconds, node.id, node.name))

    async def take(self, block: Block[Waiter], granted: anyio.Event) -> None:
        """Until `block` holds its slots and tokens. Cancelled, it holds nothing."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        self._waits(block, 1)
        self._capacity.add_block(block)
        self._grant()
        try:
            if not granted.is_set():
                await granted.wait()
        except BaseException:
            if not self._capacity.withdraw_block(block) and block.state is not None:
                self._capacity.give_back_block(block)
                self._grant()
            raise
        finally:
            self._waits(block, -1)
        if block.state is not None:
            self._holds(block, 1)

    def refuse(self, block: Block[Waiter]) -> None:
        """Its node has ended: whoever waits for it goes on without holding anything."""
        if self._capacity.withdraw_block(block):
            block.request.granted.set()

    def give_back(self, block: Block[Waiter]) -> None:
        self._holds(block, -1)
        self._use_has_changed()
        self._capacity.give_back_block(block)
        self._grant()

    def check(self, names: tuple[str, ...], within: Iterable[str], own: tuple[str, ...]) -> None:
        """Whether waiting for `names` can always end, for a node with the pools `own`, in blocks that hold `within`.

        A slot that the node itself has is lent, so it is not waited for in vain: only pools of blocks must stand before.
        """
        for name in names:
            if name not in self._rank:
                has = f"they have {', '.join(self._rank)}" if self._rank else "they have none"
                raise PoolError(
                    f'ctx.pool("{name}"): the settings have no such pool; {has}',
                    help=f"add [pools.{name}] to sqlbuild_project.toml, or correct the name",
                )
            for held in (*within, *(() if name in own else own)):
                if self._rank[held] >= self._rank[name]:
                    raise _order_error(name, held, held in within)

    def _waits(self, block: Block[Waiter], change: int) -> None:
        for name in block.pools:
            self._waiting[name] = self._waiting.get(name, 0) + change
        self._use_has_changed()

    def _holds(self, block: Block[Waiter], change: int) -> None:
        """A slot that its node has lent is counted with the node."""
        assert block.state is not None
        for name, is_lent in block.state.items():
            self._used[name] = self._used.get(name, 0) + (0 if is_lent else change)

    def _use_has_changed(self) -> None:
        if not self._use_is_due:
            self._use_is_due = True
            self._alarms.at(self._clock.monotonic() + USE_SECONDS, self._tell_use)

    def _tell_use(self) -> None:
        self._use_is_due = False
        self._publish(PoolUse(self._clock.now(), dict(self._used), dict(self._waiting)))


class PoolsOfNode:
    """The blocks of one attempt of one node."""

    def __init__(self, gate: PoolGate, node: Node, own: tuple[str, ...]) -> None:
        self._gate = gate
        self._node = node
        self._own = own
        self._numbers = itertools.count(1)
        self._blocks: dict[int, tuple[Block[Waiter], tuple[str, ...]]] = {}
        self._known: set[int] = set()
        self._waiting: set[Block[Waiter]] = set()
        self._over = False
        self.lender = Lender(map(pool_key, own)) if own else None
        """Of a node that has slots to lend."""

    async def take(self, names: tuple[str, ...], within: tuple[int, ...] | None) -> int:
        """The number of a new block. Raises PoolError, PoolOrder, and NodeError when the node has ended."""
        # A thread of the author's own: the node may be waiting for it in any of the blocks it has opened.
        around = self._known if within is None else within
        held = tuple(name for number in around if number in self._blocks for name in self._blocks[number][1])
        self._gate.check(names, held, self._own)
        self._refuse_late()
        keys = tuple(sorted(map(pool_key, names)))
        lender = self.lender
        if lender is not None and not any(name in self._own for name in names):
            lender = None
        request = ConnectionRequest()
        block: Block[Waiter] = Block(keys, lender, request)
        self._waiting.add(block)
        try:
            await self._gate.take(block, request.granted)
        finally:
            self._waiting.discard(block)
        if self._over and block.state is not None:
            self._gate.give_back(block)
        self._refuse_late()
        number = next(self._numbers)
        self._blocks[number] = (block, names)
        if within is not None:
            self._known.add(number)
        return number

    def leave(self, number: int, wait: float | None) -> None:
        """Give back what a block holds; a second time does nothing. With `wait`, pause its pools first."""
        found = self._blocks.pop(number, None)
        if found is None:
            return
        self._known.discard(number)
        block, names = found
        if wait is not None:
            self._gate.pause(names, wait, self._node)
        self._gate.give_back(block)

    def end(self) -> None:
        """The node has ended: nobody waits in its name any more. What still runs inside of a block keeps its slots."""
        self._over = True
        for block in tuple(self._waiting):
            self._gate.refuse(block)

    def _refuse_late(self) -> None:
        if self._over:
            raise NodeError(f"{self._node.name} has ended, and with it what its ctx could do")


def _order_error(name: str, held: str, in_block: bool) -> PoolOrder:
    where = f'inside a block that holds "{held}"' if in_block else f'in a node that holds "{held}"'
    if name == held:
        problem, help = "could wait for ever for a slot that is held around it", "take it once, around both"
    else:
        problem = f'could wait for ever: "{name}" stands before "{held}" in the settings'
        together = f'ctx.pool("{name}", "{held}")' if in_block else f'pool=("{name}", "{held}") on the decorator'
        help = f"take both at once with {together}, or move [pools.{name}] behind [pools.{held}]"
    return PoolOrder(f'POOL_ORDER: ctx.pool("{name}") {where} {problem}', help=help)
