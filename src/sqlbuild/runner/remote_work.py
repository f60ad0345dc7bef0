"""Pools, checkpoints, maps, loads and exports of a node that runs in a worker process."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlbuild.domain.exports import ExportResult
from sqlbuild.errors import NodeError
from sqlbuild.interfaces.exporting import ExportOrder
from sqlbuild.interfaces.loading import Loaded, RowBatch, UpstreamFacts
from sqlbuild.interfaces.node_work import MapOrder, MapResults
from sqlbuild.refs import Reference
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.runner.remote_words import arrow_bytes, named


class Asking(Protocol):
    """What of the session is needed here."""

    def ask(self, member: str, *arguments: Any) -> Any: ...

    def tell_from_anywhere(self, member: str, *arguments: Any) -> None: ...


class RemoteWork:
    """`interfaces.node_work.NodeWork`. Slots and checkpoints are the run's, threads are this process's own."""

    def __init__(self, session: Asking, *, max_bytes: int, helpers: int) -> None:
        self._session = session
        self._max_bytes = max_bytes
        self._helpers = helpers
        self._map_is_shown = False
        self._ended_keys: dict[str, set[str]] = {}

    async def take_pools(self, names: tuple[str, ...], within: tuple[int, ...] | None) -> int:
        block: int = self._session.ask("work.take_pools", names, within)
        return block

    def leave_pools(self, block: int, wait: float | None) -> None:
        self._session.tell_from_anywhere("work.leave_pools", block, wait)

    def now(self) -> float:
        return time.time()

    def json_text(self, value: object, where: str) -> str:
        return plain_json_text(value, where, self._max_bytes) or "null"

    def checkpoints(self, scope: str) -> Mapping[str, str]:
        entries: Mapping[str, str] = self._session.ask("work.checkpoints", scope)
        return entries

    def keep(self, scope: str, entries: Sequence[tuple[str, str]]) -> None:
        self._session.ask("work.keep", scope, tuple(entries))

    def begin_map(self) -> bool:
        is_first, self._map_is_shown = not self._map_is_shown, True
        return is_first

    def end_map(self) -> None:
        self._map_is_shown = False

    def keys_of_ended_maps(self, scope: str) -> set[str]:
        return self._ended_keys.setdefault(scope, set())

    def lend_threads(self, work: Callable[[Callable[[], bool]], bool], at_most: int) -> Callable[[], None]:
        """They end by themselves when nothing is left to do, which is what the end of the request waits for."""
        for number in range(min(at_most, self._helpers)):
            threading.Thread(target=work, args=(_never,), name=f"ctx.map-{number + 1}", daemon=True).start()
        return _nothing_to_end

    def refuse_when_stopping(self) -> None:
        """A run that is stopped ends its worker processes by a signal."""

    def map_async(self, order: MapOrder) -> MapResults:
        raise NodeError("only an `async def` node has an async map")


class RemoteLoading:
    """`interfaces.loading.LoadSession`."""

    def __init__(self, session: Asking) -> None:
        self._session = session

    @property
    def destination(self) -> str:
        destination: str = self._session.ask("loading.destination")
        return destination

    @property
    def cursor_value(self) -> Any:
        return self._session.ask("loading.cursor_value")

    def upstream(self, upstream: Callable[..., object] | str) -> UpstreamFacts:
        facts: UpstreamFacts = self._session.ask(
            "loading.upstream", upstream if isinstance(upstream, str) else named(upstream)
        )
        return facts

    async def highest(self, upstream: UpstreamFacts, column: str) -> Any:
        return self._session.ask("loading.highest", upstream, column)

    async def start(self) -> None:
        self._session.ask("loading.start")

    async def stage(self, batch: RowBatch) -> None:
        if batch.arrow is not None:
            batch = dataclasses.replace(batch, arrow=arrow_bytes(batch.arrow))
        else:
            batch = dataclasses.replace(batch, columns=dict(batch.columns), dicts=())
        self._session.ask("loading.stage", batch)

    async def apply(self) -> Loaded:
        loaded: Loaded = self._session.ask("loading.apply")
        return loaded

    async def has_table(self) -> bool:
        return bool(self._session.ask("loading.has_table"))


class RemoteExports:
    """`interfaces.exporting.ExportSession`."""

    def __init__(self, session: Asking) -> None:
        self._session = session

    async def copy(self, what: Reference | str, order: ExportOrder) -> ExportResult:
        result: ExportResult = self._session.ask("exports.copy", what, order)
        return result

    async def begin(self, order: ExportOrder) -> int:
        export: int = self._session.ask("exports.begin", order)
        return export

    async def write(self, export: int, batch: Any) -> None:
        self._session.ask("exports.write", export, arrow_bytes(batch))

    async def finish(self, export: int) -> ExportResult:
        result: ExportResult = self._session.ask("exports.finish", export)
        return result

    def discard(self, export: int) -> None:
        self._session.tell_from_anywhere("exports.discard", export)


def _never() -> bool:
    return False


def _nothing_to_end() -> None:
    return
