"""Checks of what is selected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.past import Past

_MOST_NAMED = 3


def checks_of_graph(graph: Graph) -> set[NodeId]:
    return {node.id for node in graph.nodes.values() if node.kind is NodeKind.CHECK}


def checks_of(graph: Graph, nodes: AbstractSet[NodeId]) -> set[NodeId]:
    """The checks that look at one of `nodes` at least; what fills a source stands for the source."""
    return {
        check
        for check in checks_of_graph(graph)
        if any(_is_among(graph.nodes[near], nodes) for near in graph.nodes[check].depends_on)
    }


def missing_for(graph: Graph, past: Past, checks: Iterable[NodeId], nodes: AbstractSet[NodeId]) -> Mapping[NodeId, str]:
    """Checks that cannot run beside `nodes`, because something else they look at is not there; and that in words."""
    missing: dict[NodeId, str] = {}
    for check in checks:
        lacking = [
            near
            for near in graph.nodes[check].depends_on
            if not _is_among(graph.nodes[near], nodes) and past.lacks(graph.nodes[near])
        ]
        if lacking:
            more = f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
            missing[check] = f"{', '.join(lacking[:_MOST_NAMED])}{more}"
    return missing


def _is_among(near: Node, nodes: AbstractSet[NodeId]) -> bool:
    if near.id in nodes:
        return True
    return near.kind is NodeKind.SOURCE and not nodes.isdisjoint(near.depends_on)
