"""Follows nodes and columns through the graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.lineage import Direction, Edge, Lineage, Point

_Step = Callable[[Point], Iterable[Edge]]


def trace_lineage(graph: Graph, focus: Point, direction: Direction, depth: int | None = None) -> Lineage:
    """All that `focus` is made of, or that is made of it, up to `depth` steps away."""
    upward, downward = _node_steps(graph) if focus.column is None else _column_steps(graph)
    upstream = _edges(focus, upward, depth) if direction is not Direction.DOWNSTREAM else ()
    downstream = _edges(focus, downward, depth) if direction is not Direction.UPSTREAM else ()
    found = Lineage(focus=(focus,), upstream=upstream, downstream=downstream)
    if focus.column is None:
        return found
    unknown = dict.fromkeys(
        note for point in found.points for note in _why_unknown(graph.nodes[point.node], point.column)
    )
    return Lineage(focus=(focus,), upstream=upstream, downstream=downstream, notes=tuple(unknown))


def lineage_within(graph: Graph, nodes: Collection[str]) -> Lineage:
    """The edges between `nodes`, in topological order."""
    within = [node for node in graph.nodes.values() if node.id in nodes]
    edges = [Edge(Point(near), Point(node.id)) for node in within for near in node.depends_on if near in nodes]
    return Lineage(focus=tuple(Point(node.id) for node in within), upstream=tuple(edges))


def column_called(node: Node, name: str, *, case_sensitive: bool) -> str | None:
    """The column of `node` that `name` means, as it is written there."""
    names = [*(column.name for column in node.columns or ()), *node.column_lineage]
    if name in names or case_sensitive:
        return name if name in names else None
    return next((each for each in names if each.lower() == name.lower()), None)


def _edges(focus: Point, step: _Step, depth: int | None) -> tuple[Edge, ...]:
    found: dict[Edge, None] = {}
    seen = {focus}
    frontier = [focus]
    steps = 0
    while frontier and (depth is None or steps < depth):
        following: list[Point] = []
        for point in frontier:
            for edge in step(point):
                found[edge] = None
                near = edge.source if edge.target == point else edge.target
                if near not in seen:
                    seen.add(near)
                    following.append(near)
        frontier, steps = following, steps + 1
    return tuple(found)


def _node_steps(graph: Graph) -> tuple[_Step, _Step]:
    def upward(point: Point) -> list[Edge]:
        return [Edge(Point(near), point) for near in graph.nodes[point.node].depends_on]

    def downward(point: Point) -> list[Edge]:
        return [Edge(point, Point(near)) for near in graph.directly_below(point.node)]

    return upward, downward


def _column_steps(graph: Graph) -> tuple[_Step, _Step]:
    of: dict[Point, list[Edge]] = {}
    readers: dict[Point, list[Edge]] = {}
    for node in graph.nodes.values():
        for column, origins in node.column_lineage.items():
            for origin in origins:
                # Of a column that is known the name is written as its own node writes it.
                known = column_called(graph.nodes[origin.node], origin.column, case_sensitive=False)
                edge = Edge(Point(origin.node, known or origin.column), Point(node.id, column), origin.transform)
                of.setdefault(edge.target, []).append(edge)
                readers.setdefault(edge.source, []).append(edge)
    return lambda point: of.get(point, ()), lambda point: readers.get(point, ())


def _why_unknown(node: Node, column: str | None) -> list[str]:
    if node.kind is NodeKind.SOURCE or node.kind is NodeKind.LOADER or column in node.column_lineage:
        return []
    reasons = [note for note in node.notes if note.startswith("columns not checked")]
    if node.kind is NodeKind.ASSET and not node.column_lineage:
        reasons = ["it declares no column_lineage, and what it exports does not tell its columns"]
    return [f"{node.id}: {reason}" for reason in reasons]
