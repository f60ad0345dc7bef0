"""The contexts of loaders: what tasks have, and the tables that are read and filled."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from sqlbuild.authoring.contexts import (
    AssetContext,
    AsyncAssetContext,
    AsyncCheckContext,
    AsyncTaskContext,
    CheckContext,
    NodeContext,
    TaskContext,
)
from sqlbuild.authoring.pending import Pending
from sqlbuild.domain.ids import NodeKind
from sqlbuild.interfaces.node_session import NodeSession


class _UpstreamTable:
    """The destination of an upstream loader, or a source."""

    __slots__ = ("_facts", "_session")

    def __init__(self, session: NodeSession, upstream: Callable[..., object] | str) -> None:
        self._session = session
        self._facts = session.loading.upstream(upstream)

    @property
    def destination(self) -> str:
        """What stands for the table in SQL, quoted and qualified."""
        return self._facts.destination

    def __str__(self) -> str:
        return self._facts.destination


class UpstreamTable(_UpstreamTable):
    """What `ctx.loader(...)` and `ctx.source(...)` give in a `def` loader."""

    __slots__ = ()

    @property
    def current_cursor_value(self) -> Any:
        """The highest value of its cursor column; None without one, without rows and without the table."""
        column = self._facts.cursor_column
        return None if column is None else self.max(column)

    def max(self, column: str) -> Any:
        """The highest value of a column; None without rows and without the table."""
        return self._session.wait(self._session.loading.highest, self._facts, _checked_column(column))


class AsyncUpstreamTable(_UpstreamTable):
    """What `ctx.loader(...)` and `ctx.source(...)` give in an `async def` loader; both values are awaited."""

    __slots__ = ()

    @property
    def current_cursor_value(self) -> Coroutine[Any, Any, Any]:
        """The highest value of its cursor column; None without one, without rows and without the table."""
        return Pending(self._session, "current_cursor_value", self._highest_of_cursor)

    def max(self, column: str) -> Coroutine[Any, Any, Any]:
        """The highest value of a column; None without rows and without the table."""
        column = _checked_column(column)
        return Pending(self._session, f"max({column!r})", self._session.loading.highest, self._facts, column)

    async def _highest_of_cursor(self) -> Any:
        column = self._facts.cursor_column
        return None if column is None else await self._session.loading.highest(self._facts, column)


class LoaderContext(TaskContext):
    """What a `def` loader receives."""

    __slots__ = ()

    @property
    def destination(self) -> str:
        """The table that this loader fills, quoted and qualified."""
        return self._session.loading.destination

    @property
    def current_cursor_value(self) -> Any:
        """The highest value of `cursor_column` when the loader started; None in an empty table and without one."""
        return self._session.loading.cursor_value

    def loader(self, loader_fn: Callable[..., object]) -> UpstreamTable:
        """The table of a declared upstream loader. Raises UndeclaredDependency."""
        return UpstreamTable(self._session, _checked_loader(loader_fn))

    def source(self, source_name: str) -> UpstreamTable:
        """A declared source, by its name. Raises UndeclaredDependency."""
        return UpstreamTable(self._session, _checked_source(source_name))


class AsyncLoaderContext(AsyncTaskContext):
    """What an `async def` loader receives."""

    __slots__ = ()

    @property
    def destination(self) -> str:
        """The table that this loader fills, quoted and qualified."""
        return self._session.loading.destination

    @property
    def current_cursor_value(self) -> Any:
        """The highest value of `cursor_column` when the loader started; None in an empty table and without one."""
        return self._session.loading.cursor_value

    def loader(self, loader_fn: Callable[..., object]) -> AsyncUpstreamTable:
        """The table of a declared upstream loader. Raises UndeclaredDependency."""
        return AsyncUpstreamTable(self._session, _checked_loader(loader_fn))

    def source(self, source_name: str) -> AsyncUpstreamTable:
        """A declared source, by its name. Raises UndeclaredDependency."""
        return AsyncUpstreamTable(self._session, _checked_source(source_name))


_CONTEXTS: Mapping[NodeKind, type[NodeContext]] = {
    NodeKind.ASSET: AssetContext,
    NodeKind.TASK: TaskContext,
    NodeKind.LOADER: LoaderContext,
    NodeKind.CHECK: CheckContext,
}
_ASYNC_CONTEXTS: Mapping[NodeKind, type[NodeContext]] = {
    NodeKind.ASSET: AsyncAssetContext,
    NodeKind.TASK: AsyncTaskContext,
    NodeKind.LOADER: AsyncLoaderContext,
    NodeKind.CHECK: AsyncCheckContext,
}


def context_for(kind: NodeKind, is_async: bool, session: NodeSession) -> NodeContext:
    """The context for one attempt of a node. Raises KeyError for a kind that has none."""
    return (_ASYNC_CONTEXTS if is_async else _CONTEXTS)[kind](session)


def _checked_loader(function: object) -> Callable[..., object]:
    if not callable(function):
        raise TypeError(f"ctx.loader() takes a loader function, not {type(function).__name__}; use ctx.source(name)")
    return function


def _checked_source(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f'ctx.source() takes the name of a source, as in ctx.source("orders"), not {name!r}')
    return name


def _checked_column(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"max() takes the name of a column, not {type(name).__name__}")
    return name
