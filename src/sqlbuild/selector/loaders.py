"""Loaders in a selection: left out, alone, or with the Python nodes that they need."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import PYTHON_KINDS, NodeId, NodeKind, name_of, node_id
from sqlbuild.errors import SelectionError


def loaders_of_graph(graph: Graph) -> set[NodeId]:
    return {node.id for node in graph.nodes.values() if node.kind is NodeKind.LOADER}


def python_that_reads(graph: Graph, chosen: AbstractSet[NodeId]) -> set[NodeId]:
    """All Python nodes but loaders and what the loaders among `chosen` need."""
    loaders = loaders_of_graph(graph)
    needed = loaders | graph.ancestors(loaders & chosen)
    return {node.id for node in graph.nodes.values() if node.kind in PYTHON_KINDS and node.id not in needed}


def loaders_of(graph: Graph, chosen: AbstractSet[NodeId]) -> set[NodeId]:
    """The loaders among `chosen`, and those that fill the sources among it."""
    loaders = loaders_of_graph(graph)
    of_sources = {
        loader
        for id in chosen
        if graph.nodes[id].kind is NodeKind.SOURCE
        and (loader := node_id(NodeKind.LOADER, name_of(id))) in graph.nodes[id].depends_on
    }
    return (loaders & chosen) | of_sources


def no_loader(graph: Graph, *, is_narrowed: bool) -> SelectionError:
    """Nothing to load; `is_narrowed` by selectors."""
    some = loaders_of_graph(graph)
    of = "of what is selected" if some and is_narrowed else "in this project"
    help = "'sqb list loader:*' shows every loader" if some else "declare one with @loader in a file under loaders/"
    return SelectionError(f"there is no loader {of}", help=f"{help}; --allow-empty makes this no error")
