"""What the decorators take, as types; `read_options.py` checks the same at run time."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Required, TypedDict

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


class TaskOptions(TypedDict, total=False):
    """Parameters of `@task`. None means the same as leaving the parameter out."""

    name: str | None
    depends_on: Upstream | Sequence[Upstream] | None
    tags: list[str] | tuple[str, ...] | None
    group: str | None
    description: str | None
    meta: Mapping[str, Any] | None
    retry: RetryPolicy | None
    timeout: float | datetime.timedelta | None
    """Seconds for one attempt; `async def` only."""
    pool: str | list[str] | tuple[str, ...] | None
    requires: Requires | None


class AssetOptions(TaskOptions, total=False):
    """Parameters of `@asset`."""

    columns: Sequence[ColumnOptions] | None
    column_lineage: Mapping[str, Sequence[LineageOptions]] | None
