"""Columns of relations and assets, and where their values come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class Column:
    """One declared or inferred column; `type` is the warehouse's spelling or None where unknown."""

    name: str
    type: str | None = None
    nullable: bool | None = None
    description: str = ""
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)


@record(frozen=True, slots=True)
class ColumnReference:
    """A column of an upstream node that another one is made of.

    `transform` says how: `direct`, `cast`, `expression` or `aggregation`; `declared` where the author wrote it down.
    """

    node: NodeId
    column: str
    transform: str = "direct"
