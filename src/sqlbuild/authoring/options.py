"""What the decorators take, as types; `read_options.py` checks the same at run time."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from sqlbuild.domain.nodes import Requires
from sqlbuild.refs import Reference
from sqlbuild.retries import RetryPolicy

Upstream = Callable[..., object] | Reference


class ColumnOptions(TypedDict, total=False):
    """One entry of `columns`; `type` is the warehouse's spelling, `meta` plain JSON."""

    name: Required[str]
    type: str | None
    nullable: bool | None
    description: str
    meta: Mapping[str, Any]


class LineageOptions(TypedDict):
    """A column of an upstream, by the node's name."""

    node: str
    column: str


class FunctionOptions(TypedDict, total=False):
    """Parameters of `@task`, `@asset` and `@loader`. None means the same as leaving the parameter out."""

    name: str | None
    depends_on: Upstream | Sequence[Upstream] | None
    tags: list[str] | tuple[str, ...] | None
    group: str | None
    description: str | None
    meta: Mapping[str, Any] | None
    retry: RetryPolicy | None
    timeout: float | datetime.timedelta | None
    """Seconds for one attempt; for an `async def`, and for a `def` with `isolate="process"`."""
    isolate: Literal["process"] | None
    """`def` only: it runs in a worker process of its own."""
    pool: str | list[str] | tuple[str, ...] | None


class TaskOptions(FunctionOptions, total=False):
    """Parameters of `@task`."""

    requires: Requires | None
    dry_run: bool | None
    """The function honours `ctx.dry_run`, so that `--dry-run` may call it."""


class AssetOptions(TaskOptions, total=False):
    """Parameters of `@asset`."""

    columns: Sequence[ColumnOptions] | None
    column_lineage: Mapping[str, Sequence[LineageOptions]] | None
