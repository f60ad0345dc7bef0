"""Who waits because of audits, without depending on anything more than before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from sqlbuild.domain.graph import Graph, is_staged_whole, stops_what_comes_after
from sqlbuild.domain.ids import NodeId, NodeKind


def audit_waits(graph: Graph, nodes: Collection[NodeId]) -> Mapping[NodeId, tuple[NodeId, ...]]:
    """In a run of `nodes`, what each waits for beside its upstreams, if there is anything; all of it is in the run.

    A model waits for what its audits read, so that nothing is staged which they could not look at yet. Whoever reads a
    source, a seed or an incremental model waits for the audits of that.
    """
    waits: dict[NodeId, dict[NodeId, None]] = {}
    for target, audits in graph.audits.items():
        stopping = [each for each in audits if each in nodes and stops_what_comes_after(graph.nodes[each])]
        if not stopping:
            continue
        if not is_staged_whole(graph.nodes[target].declaration):
            for reader in graph.directly_below(target):
                if reader in nodes and reader not in audits:
                    waits.setdefault(reader, {}).update(dict.fromkeys(stopping))
    for target, audits in graph.audits.items():
        if target not in nodes or graph.nodes[target].kind is not NodeKind.MODEL:
            continue
        for gate in audits:
            if gate in nodes and stops_what_comes_after(graph.nodes[gate]):
                read = (
                    each for near in graph.nodes[gate].depends_on if near != target for each in _behind(graph, near)
                )
                found = (*(each for each in read if each in nodes), *waits.get(gate, ()))
                waits.setdefault(target, {}).update(dict.fromkeys(found))
    return {node: tuple(found) for node, found in waits.items() if found}


def _behind(graph: Graph, node: NodeId) -> Iterator[NodeId]:
    """The node itself; of a source what fills it."""
    if graph.nodes[node].kind is NodeKind.SOURCE:
        yield from graph.nodes[node].depends_on
    else:
        yield node
