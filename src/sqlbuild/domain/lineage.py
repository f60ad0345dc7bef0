"""What is made of what: nodes, or single columns of them."""

from __future__ import annotations

import enum

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.record import record


class Direction(enum.StrEnum):
    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


@record(frozen=True, slots=True)
class Point:
    """A node, or one of its columns."""

    node: NodeId
    column: str | None = None


@record(frozen=True, slots=True)
class Edge:
    """`target` is made of `source`. `transform` is that of `domain.columns.ColumnReference`; empty between nodes."""

    source: Point
    target: Point
    transform: str = ""


@record(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What was found around `focus`, nearest first; `notes` say where it could not be followed further."""

    focus: tuple[Point, ...]
    upstream: tuple[Edge, ...] = ()
    downstream: tuple[Edge, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(dict.fromkeys((*self.upstream, *self.downstream)))

    @property
    def points(self) -> tuple[Point, ...]:
        ends = (point for edge in self.edges for point in (edge.source, edge.target))
        return tuple(dict.fromkeys((*self.focus, *ends)))
