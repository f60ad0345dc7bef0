"""Lineage as a tree, a list, a diagram or a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import name_of
from sqlbuild.domain.lineage import Edge, Lineage, Point

SCHEMA_VERSION = 1
MAX_OF_A_FILE = 5
"""In a tree, below one node: nodes that a loop has made are alike."""


def lineage_document(graph: Graph, lineage: Lineage, direction: str | None) -> dict[str, Any]:
    """`nodes` once each, `edges` between nodes or columns; the schema is that of docs/lineage.md."""
    nodes = [graph.nodes[node] for node in dict.fromkeys(point.node for point in lineage.points)]
    return {
        "schema_version": SCHEMA_VERSION,
        "focus": [{"id": point.node, "column": point.column} for point in lineage.focus],
        "direction": direction,
        "nodes": [
            {
                "id": node.id,
                "kind": node.kind.value,
                "name": node.name,
                "path": node.place.path,
                "line": node.place.line,
                "relation": None if node.relation is None else str(node.relation),
            }
            for node in nodes
        ],
        "edges": [_edge(edge) for edge in lineage.edges],
        "notes": list(lineage.notes),
    }


def lineage_tree(graph: Graph, lineage: Lineage) -> list[str]:
    """Each focus with what lies up- and downstream of it; what was shown above already is not opened again."""
    lines: list[str] = []
    both = bool(lineage.upstream and lineage.downstream)
    for focus in lineage.focus:
        lines.append(_described(graph, focus))
        if both:
            lines.append("upstream")
        lines += _branches(graph, focus, lineage.upstream, up=True)
        if both:
            lines.append("downstream")
        lines += _branches(graph, focus, lineage.downstream, up=False)
    return lines


def lineage_list(lineage: Lineage) -> list[str]:
    pairs = [(_shown(edge.source), _shown(edge.target), edge.transform) for edge in lineage.edges]
    sources = max((len(source) for source, _, _ in pairs), default=0)
    targets = max((len(target) for _, target, _ in pairs), default=0)
    return [f"{source:{sources}} -> {target:{targets}}  {transform}".rstrip() for source, target, transform in pairs]


def lineage_mermaid(lineage: Lineage) -> list[str]:
    names = {point: f"n{number}" for number, point in enumerate(lineage.points, 1)}
    lines = ["flowchart LR"]
    lines += [f'  {name}["{_shown(point).replace(chr(34), "#quot;")}"]' for point, name in names.items()]
    for edge in lineage.edges:
        label = f"|{edge.transform}|" if edge.transform else ""
        lines.append(f"  {names[edge.source]} -->{label} {names[edge.target]}")
    return lines


def lineage_dot(lineage: Lineage) -> list[str]:
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_dot(point)};" for point in lineage.points]
    for edge in lineage.edges:
        label = f' [label="{edge.transform}"]' if edge.transform else ""
        lines.append(f"  {_dot(edge.source)} -> {_dot(edge.target)}{label};")
    return [*lines, "}"]


def _branches(graph: Graph, focus: Point, edges: Sequence[Edge], *, up: bool) -> Iterator[str]:
    near: dict[Point, list[tuple[Point, str]]] = {}
    for edge in edges:
        here, there = (edge.target, edge.source) if up else (edge.source, edge.target)
        near.setdefault(here, []).append((there, edge.transform))
    shown = {focus}
    stack = _pushed(graph, near.get(focus, ()), "")
    while stack:
        point, transform, indent, is_last = stack.pop()
        if point is None:
            yield f"{indent}{'└── ' if is_last else '├── '}{transform}"
            continue
        again = point in shown and point in near
        remark = "  (already shown)" if again else ""
        text = _described(graph, point) + (f"  {transform}" if transform else "")
        yield f"{indent}{'└── ' if is_last else '├── '}{text}{remark}"
        if not again:
            shown.add(point)
            stack += _pushed(graph, near.get(point, ()), indent + ("    " if is_last else "│   "))


def _pushed(graph: Graph, near: Sequence[tuple[Point, str]], indent: str) -> list[tuple[Point | None, str, str, bool]]:
    """In the order in which a stack gives them back; of many from one file only the first, and how many more."""
    by_file: dict[str, list[tuple[Point, str]]] = {}
    for point, transform in near:
        by_file.setdefault(graph.nodes[point.node].place.path, []).append((point, transform))
    branches: list[tuple[Point | None, str]] = []
    for path, found in by_file.items():
        more = len(found) - MAX_OF_A_FILE
        branches += found if more <= 1 else found[:MAX_OF_A_FILE]
        if more > 1:
            branches.append((None, f"{more:,} more of {path}; --format list shows them"))
    last = len(branches) - 1
    return [(point, text, indent, place == last) for place, (point, text) in enumerate(branches)][::-1]


def _described(graph: Graph, point: Point) -> str:
    if point.column is not None:
        return f"{name_of(point.node)}.{point.column}"
    node = graph.nodes[point.node]
    return f"{node.kind.value} {node.name}  {node.place.path}"


def _shown(point: Point) -> str:
    return point.node if point.column is None else f"{name_of(point.node)}.{point.column}"


def _edge(edge: Edge) -> dict[str, Any]:
    found: dict[str, Any] = {"from": edge.source.node, "to": edge.target.node}
    if edge.source.column is None:
        return found
    return {
        **found,
        "from_column": edge.source.column,
        "to_column": edge.target.column,
        "transform": edge.transform,
    }


def _dot(point: Point) -> str:
    return '"' + _shown(point).replace("\\", "\\\\").replace('"', '\\"') + '"'


FORMATS: dict[str, Callable[[Lineage], list[str]]] = {
    "list": lineage_list,
    "mermaid": lineage_mermaid,
    "dot": lineage_dot,
}
