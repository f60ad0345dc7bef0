"""An order in which every node comes after what it depends on, and the cycles that make one impossible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.record import record

MAX_CYCLES = 20


@record(frozen=True, slots=True, kw_only=True)
class Order:
    """`nodes` has every node once. Where there are no `cycles` upstreams come first; each cycle begins with its
    earliest declared node and does not repeat it at the end. Of very many cycles only the first are given."""

    nodes: tuple[NodeId, ...]
    cycles: tuple[tuple[NodeId, ...], ...] = ()


def order_nodes(depends_on: Mapping[NodeId, Sequence[NodeId]]) -> Order:
    """Keep the order of the mapping wherever the dependencies allow it. Does not call itself, so depth is no limit."""
    done: set[NodeId] = set()
    ordered: list[NodeId] = []
    cycles: list[tuple[NodeId, ...]] = []
    for root in depends_on:
        if root in done:
            continue
        path: dict[NodeId, int] = {root: 0}
        pending = [iter(depends_on[root])]
        nodes = [root]
        while nodes:
            upstream = next(pending[-1], None)
            if upstream is None:
                node = nodes.pop()
                pending.pop()
                del path[node]
                done.add(node)
                ordered.append(node)
            elif upstream in path:
                if len(cycles) < MAX_CYCLES:
                    cycles.append(tuple(nodes[path[upstream] :]))
            elif upstream not in done and upstream in depends_on:
                path[upstream] = len(nodes)
                nodes.append(upstream)
                pending.append(iter(depends_on[upstream]))
    return Order(nodes=tuple(ordered), cycles=_from_the_earliest(cycles, depends_on))


def layers_of(order: Iterable[NodeId], depends_on: Mapping[NodeId, Sequence[NodeId]]) -> list[list[NodeId]]:
    """`order`, in which upstreams come first, in parts whose nodes depend only on those of the parts before."""
    layers: list[list[NodeId]] = []
    depths: dict[NodeId, int] = {}
    for node in order:
        depth = max((depths[upstream] + 1 for upstream in depends_on[node] if upstream in depths), default=0)
        depths[node] = depth
        if depth == len(layers):
            layers.append([])
        layers[depth].append(node)
    return layers


def _from_the_earliest(
    cycles: Sequence[tuple[NodeId, ...]], depends_on: Mapping[NodeId, Sequence[NodeId]]
) -> tuple[tuple[NodeId, ...], ...]:
    if not cycles:
        return ()
    place = {node: position for position, node in enumerate(depends_on)}
    turned = []
    for cycle in cycles:
        first = min(range(len(cycle)), key=lambda index: place[cycle[index]])
        turned.append((*cycle[first:], *cycle[:first]))
    return tuple(turned)
