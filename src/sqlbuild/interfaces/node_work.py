"""What a running node does at once with others: pools, checkpoints, and many calls from one node."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class MapOrder:
    """One `ctx.map(...)`. `scope` names the function, so that the keys of two functions are kept apart."""

    fn: Callable[[Any], Any]
    items: Iterable[Any] | AsyncIterable[Any]
    scope: str
    limit: int
    """How many calls at once."""
    pools: tuple[str, ...] = ()
    """Taken around each call."""
    key: Callable[[Any], object] | None = None


class MapResults(Protocol):
    """The results of an async map, to be awaited as a whole or read one by one in the order of the items."""

    async def all(self) -> list[Any]: ...

    def each(self) -> AsyncIterator[Any]: ...


class PoolWork(Protocol):
    """`ctx.pool(...)` blocks of one attempt."""

    async def take_pools(self, names: tuple[str, ...], within: tuple[int, ...] | None) -> int:
        """Wait for a slot and a token of each pool, all at once; returns the number of the block that holds them.

        `within` are the blocks around this one; None where nobody knows, as in a thread of the author's. Raises PoolError for an unknown pool, PoolOrder for a wait that could last for ever.
        """

    def leave_pools(self, block: int, wait: float | None) -> None:
        """From any thread, without waiting: give back what a block holds, once; with `wait`, first pause its pools for
        so many seconds."""

    def now(self) -> float:
        """Seconds since the epoch, by the run's clock."""


class CheckpointWork(Protocol):
    """JSON texts of one node, kept in the run's journal; `scope` is empty for `ctx.checkpoint`. From any thread."""

    def json_text(self, value: object, where: str) -> str:
        """Raises UnstorableResult naming `where` and the path to what cannot be stored."""

    def checkpoints(self, scope: str) -> Mapping[str, str]:
        """Key -> JSON text of this and earlier attempts."""

    def keep(self, scope: str, entries: Sequence[tuple[str, str]]) -> None:
        """Returns when the entries are written. Raises EngineError, and NodeError after the end of the attempt."""


class MapWork(Protocol):
    """What maps of one attempt share."""

    def begin_map(self) -> bool:
        """Whether this map's progress is to be shown: that of the first of several is."""

    def end_map(self) -> None:
        """The map whose progress was shown has ended."""

    def keys_of_ended_maps(self, scope: str) -> set[str]:
        """Keys of all maps of this attempt that came to their end; whoever ends one adds to it."""

    def lend_threads(self, work: Callable[[Callable[[], bool]], bool], at_most: int) -> Callable[[], None]:
        """From a `def` node: let idle threads call `work`, as many as there are at any time, at most `at_most`.

        `work` gets a function that says whether the thread is wanted elsewhere, to be asked between two items, and
        returns whether it left something to do because of that. Returns what ends the request. There may never be an
        idle thread.
        """

    def refuse_when_stopping(self) -> None:
        """Raises NodeCancelled once the run is being stopped."""

    def map_async(self, order: MapOrder) -> MapResults:
        """From an `async def` node; nothing happens before the results are asked for."""


class NodeWork(PoolWork, CheckpointWork, MapWork, Protocol):
    """All of it, for one attempt of one node."""
