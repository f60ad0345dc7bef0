"""What is known about the columns of a node."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.incremental import IncrementalSql
from sqlbuild.domain.record import record
from sqlbuild.domain.source_map import Expansion
from sqlbuild.errors import Problem


@record(frozen=True, slots=True, kw_only=True)
class NodeColumns:
    """What is known about one node's columns. `complete`: it surely has no others.

    `sql`, `expansions`, `incremental_sql`, `around_target` and `relation` are those of `domain.graph.Node`; `code` is a digest of what the
    author wrote.
    """

    columns: tuple[Column, ...] | None = None
    complete: bool = False
    lineage: Mapping[str, tuple[ColumnReference, ...]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    relation: Relation | None = None
    sql: str | None = None
    expansions: tuple[Expansion, ...] = ()
    """What of `sql` macros gave."""
    incremental_sql: IncrementalSql | None = None
    around_target: tuple[str, ...] = ()
    code: str = ""


@record(frozen=True, slots=True, kw_only=True)
class InferredColumns:
    nodes: Mapping[NodeId, NodeColumns]
    """Of every node but tasks and checks."""
    problems: tuple[Problem, ...] = ()
