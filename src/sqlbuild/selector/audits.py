"""Audits of what is selected."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeId, NodeKind, node_id
from sqlbuild.domain.nodes import Audit


def audits_of_graph(graph: Graph) -> set[NodeId]:
    return {node.id for node in graph.nodes.values() if node.kind is NodeKind.AUDIT}


def attached_to(graph: Graph, nodes: AbstractSet[NodeId]) -> set[NodeId]:
    """The audits that are attached to one of `nodes`."""
    return {audit for target, audits in graph.audits.items() if target in nodes for audit in audits}


def audits_of(graph: Graph, nodes: AbstractSet[NodeId]) -> set[NodeId]:
    """The attached audits that belong to a run of `nodes`: of what it builds, and of every source that it reads or fills."""
    read = {target for target in graph.audits if graph.nodes[target].kind is NodeKind.SOURCE}
    read = {source for source in read if _is_read(graph, source, nodes) or not nodes.isdisjoint(graph.upstream(source))}
    return attached_to(graph, {*nodes, *read})


def singular_audits_of(graph: Graph, nodes: AbstractSet[NodeId]) -> set[NodeId]:
    """The singular audits that read one of `nodes` at least."""
    return {
        node.id
        for node in graph.nodes.values()
        if node.kind is NodeKind.AUDIT and target_of(node) is None and not nodes.isdisjoint(node.depends_on)
    }


def target_of(node: Node) -> NodeId | None:
    """What an audit is attached to, if it is."""
    declaration = node.declaration
    if not isinstance(declaration, Audit) or declaration.target is None:
        return None
    return node_id(declaration.target.kind, declaration.target.name)


def _is_read(graph: Graph, source: NodeId, nodes: AbstractSet[NodeId]) -> bool:
    return any(reader in nodes and target_of(graph.nodes[reader]) != source for reader in graph.directly_below(source))
