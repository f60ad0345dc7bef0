from __future__ import annotations

from sqlbuild.app.options import Compiled
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeKind, kind_of, name_of
from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.select_nodes import select_only


def one_node(compiled: Compiled, past: Past, name: str) -> Node:
    """The node that a name, `kind:name` or selector means. Raises SelectionError unless that is exactly one."""
    found = select_only(compiled.graph, past, Selection(select=(name,)))
    # A managed source and its loader have one name; the loader is the one that has a history.
    loaders = [node for node in found if kind_of(node) is NodeKind.LOADER]
    if len(found) == 2 and len(loaders) == 1 and len({name_of(node) for node in found}) == 1:
        found = frozenset(loaders)
    if len(found) != 1:
        raise SelectionError(f"{name!r} names {len(found)} nodes", help="give the name of one node")
    return compiled.graph.nodes[next(iter(found))]
