"""What contexts offer for much work from one node: pools, fan-out, checkpoints and exports."""

from __future__ import annotations

import json
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, TypeVar

from sqlbuild.authoring.columnar import ArrowStream
from sqlbuild.authoring.export_calls import Path, export_awaited, export_blocking, export_order
from sqlbuild.authoring.map_calls import map_order, not_iterable
from sqlbuild.authoring.pending import Pending
from sqlbuild.authoring.pool_blocks import AsyncPoolBlock, PoolBlock
from sqlbuild.authoring.sync_map import map_on_threads
from sqlbuild.domain.exports import ExportResult
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.interfaces.node_work import MapOrder
from sqlbuild.refs import Reference

Item = TypeVar("Item")
R = TypeVar("R")


class AsyncMap(Pending[list[R]]):
    """`await` it for all results, or read them one by one with `async for`, in the order of the items."""

    __slots__ = ("_results",)

    def __init__(self, session: NodeSession, order: MapOrder) -> None:
        self._results = session.work.map_async(order)
        super().__init__(session, "ctx.map(...)", self._results.all)

    def __aiter__(self) -> AsyncIterator[R]:
        self._session.note(self, None)
        return self._results.each()


class Blocking:
    """For `def` nodes."""

    __slots__ = ()
    _session: NodeSession

    def pool(self, *names: str) -> PoolBlock:
        """`with ctx.pool("crm_api"):` holds one slot, and takes one token, of each pool named; all at once.

        An exception that leaves the block and asks for a wait (`RetryAfter`, or status 429 or 503 with `Retry-After`)
        pauses these pools for everybody. Raises PoolError, and PoolOrder for a wait that could last for ever.
        """
        return PoolBlock(self._session, names)

    def map(
        self,
        fn: Callable[[Item], R],
        items: Iterable[Item],
        limit: int | None = None,
        pool: str | Sequence[str] | None = None,
        key: Callable[[Item], object] | None = None,
    ) -> list[R]:
        """Call `fn` for every item, at most `limit` (64) at once, and return the results in the order of the items.

        This thread works through the items, and threads of the run that are idle help. With `pool` each call is made
        inside `ctx.pool(...)`. With `key` the result of each item is kept as JSON in the run's journal under its key, and
        another attempt does not call `fn` for it again. The first error ends the map and is raised.
        """
        return map_on_threads(self._session, map_order(fn, items, limit, pool, key))

    def export(
        self,
        what: Reference | str | Iterable[Any] | ArrowStream,
        path: Path,
        format: str | None = None,
        *,
        partition_by: str | Sequence[str] | None = None,
        cursor: str | None = None,
        check_columns: bool = False,
    ) -> ExportResult:
        """Write rows into a file, or into a folder of files with `partition_by`.

        `what` is a declared `model()` or `source()`, a SELECT, Arrow data, a dataframe or an iterable of record
        batches. `format` is told by the suffix: `.parquet`, `.csv`, `.csv.gz`, `.json`, `.jsonl` or `.arrow`. A path is
        relative to the project's root and stays within it unless the settings allow more; or a URL such as `s3://...`.

        The file appears as a whole, and replaces what was there; whatever fails leaves that as it was. With `cursor` only
        rows beyond the highest value of that column that this node's last success has exported to this path are written.
        `check_columns` fails the node if the columns are not those that the asset declares. Raises ExportError,
        WarehouseError, UndeclaredDependency and MissingExtra.
        """
        order = export_order(path, format, partition_by, cursor, check_columns, what)
        return export_blocking(self._session, what, order)


class Awaiting:
    """For `async def` nodes."""

    __slots__ = ()
    _session: NodeSession

    def pool(self, *names: str) -> AsyncPoolBlock:
        """`async with ctx.pool("crm_api"):` holds one slot, and takes one token, of each pool named; all at once.

        An exception that leaves the block and asks for a wait (`RetryAfter`, or status 429 or 503 with `Retry-After`)
        pauses these pools for everybody. Raises PoolError, and PoolOrder for a wait that could last for ever.
        """
        return AsyncPoolBlock(self._session.work, names)

    def map(
        self,
        fn: Callable[[Item], Awaitable[R]],
        items: Iterable[Item] | AsyncIterable[Item],
        limit: int | None = None,
        pool: str | Sequence[str] | None = None,
        key: Callable[[Item], object] | None = None,
    ) -> AsyncMap[R]:
        """Await `fn` for every item, at most `limit` (64) at once; `await` gives the results in the order of the items,
        `async for` gives them one by one in that order.

        With `pool` each call is made inside `ctx.pool(...)`. With `key` the result of each item is kept as JSON in the
        run's journal under its key, and another attempt does not call `fn` for it again. The first error cancels what
        is left and is raised.
        """
        if not isinstance(items, Iterable | AsyncIterable) and not hasattr(items, "__getitem__"):
            raise not_iterable(items)
        return AsyncMap(self._session, map_order(fn, items, limit, pool, key))

    def export(
        self,
        what: Reference | str | Iterable[Any] | AsyncIterable[Any] | ArrowStream,
        path: Path,
        format: str | None = None,
        *,
        partition_by: str | Sequence[str] | None = None,
        cursor: str | None = None,
        check_columns: bool = False,
    ) -> Coroutine[Any, Any, ExportResult]:
        """Write rows into a file, or into a folder of files with `partition_by`; awaited.

        `what` is a declared `model()` or `source()`, a SELECT, Arrow data, a dataframe or an (async) iterable of record
        batches. `format` is told by the suffix: `.parquet`, `.csv`, `.csv.gz`, `.json`, `.jsonl` or `.arrow`. A path is
        relative to the project's root and stays within it unless the settings allow more; or a URL such as `s3://...`.

        The file appears as a whole, and replaces what was there; whatever fails leaves that as it was. With `cursor` only
        rows beyond the highest value of that column that this node's last success has exported to this path are written.
        `check_columns` fails the node if the columns are not those that the asset declares. Raises ExportError,
        WarehouseError, UndeclaredDependency and MissingExtra.
        """
        order = export_order(path, format, partition_by, cursor, check_columns, what)
        return export_awaited(self._session, what, order)


class Checkpoints(Mapping[str, Any]):
    """What `ctx.checkpoint` has kept for this node in this run."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, key: str) -> Any:
        return json.loads(self._texts[key])

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._texts))

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def __repr__(self) -> str:
        return f"<checkpoints {', '.join(map(repr, self))}>"


def keep_checkpoint(session: NodeSession, key: object, value: object) -> None:
    """Raises TypeError, UnstorableResult and EngineError."""
    if not isinstance(key, str):
        raise TypeError(f"ctx.checkpoint(): key must be a text, not {type(key).__name__}")
    work = session.work
    work.json_text(key, "key")
    work.keep("", ((key, work.json_text(value, "checkpoint")),))
