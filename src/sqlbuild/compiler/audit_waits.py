"""What waits for audits: a model for what its audits read, and whoever reads a source or seed for what those of it read.

These waits are no dependencies: they follow from audits, and end with them. But they must not go in a circle either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.compiler.topological_order import Order
from sqlbuild.domain.graph import is_staged_whole
from sqlbuild.domain.ids import NodeId, NodeKind, kind_of, name_of, node_id
from sqlbuild.domain.nodes import Audit
from sqlbuild.errors import Problem

_SHOWN = 6


def with_audit_waits(resolved: Resolved) -> Mapping[NodeId, tuple[NodeId, ...]]:
    """What every node comes after: what it depends on, and what it waits for because of audits."""
    waits: dict[NodeId, tuple[NodeId, ...]] = dict(resolved.depends_on)
    guards: dict[NodeId, list[NodeId]] = {}
    for audit, target, read in _attached(resolved):
        if kind_of(target) is NodeKind.MODEL:
            waits[target] = tuple(dict.fromkeys((*waits[target], *read)))
        if not is_staged_whole(resolved.nodes[target]):
            guards.setdefault(target, []).append(audit)
    for node, upstreams in resolved.depends_on.items():
        own = _target_of(resolved, node)
        more = [audit for near in upstreams if near != own for audit in guards.get(near, ())]
        if more:
            waits[node] = tuple(dict.fromkeys((*waits[node], *more)))
    return waits


def audits_of_cycle(resolved: Resolved, cycle: tuple[NodeId, ...]) -> list[NodeId]:
    """The audits without which nobody would wait in this circle; none if what depends on what is one already."""
    found: dict[NodeId, None] = {}
    for place, node in enumerate(cycle):
        following = cycle[(place + 1) % len(cycle)]
        if following in resolved.depends_on[node]:
            continue
        if isinstance(resolved.nodes[following], Audit):
            found[following] = None
        for audit, target, read in _attached(resolved):
            if target == node and following in read:
                found[audit] = None
    return list(found)


def waiting_in_a_circle(resolved: Resolved, order: Order) -> Iterator[Problem]:
    """An audit that reads what is built from its own target, directly or by way of other audits."""
    for cycle in order.cycles:
        audits = audits_of_cycle(resolved, cycle)
        if not audits:
            continue
        first = resolved.nodes[audits[0]]
        assert isinstance(first, Audit)
        assert first.target is not None
        target = node_id(first.target.kind, first.target.name)
        read = next((near for near in resolved.depends_on[audits[0]] if near != target and near in cycle), target)
        chain = _chain(cycle)
        if len(audits) == 1:
            message = f"the audit {first.name} reads {name_of(read)}, which is built from {name_of(target)}: {chain}"
        else:
            names = " and ".join(name_of(audit) for audit in audits[:_SHOWN])
            message = f"the audits {names} make what they are attached to wait for each other: {chain}"
        yield Problem(
            code="AUDIT_CYCLE",
            message=message,
            help=f"an audit stands between {name_of(target)} and what reads it; write a singular one in audits/singular/, "
            "which runs when everything it reads is built",
            path=first.place.path,
            line=first.place.line,
            column=first.place.column,
        )


def _chain(cycle: tuple[NodeId, ...]) -> str:
    names = [name_of(node) for node in (*cycle, cycle[0])]
    if len(names) > _SHOWN + 1:
        names[_SHOWN // 2 : -_SHOWN // 2] = [f"({len(names) - _SHOWN} more)"]
    return " -> ".join(names)


def _attached(resolved: Resolved) -> Iterator[tuple[NodeId, NodeId, tuple[NodeId, ...]]]:
    """Every attached audit, what it is attached to, and what else it reads."""
    for node, declaration in resolved.nodes.items():
        if isinstance(declaration, Audit) and declaration.target is not None:
            target = node_id(declaration.target.kind, declaration.target.name)
            yield node, target, tuple(near for near in resolved.depends_on[node] if near != target)


def _target_of(resolved: Resolved, node: NodeId) -> NodeId | None:
    declaration = resolved.nodes[node]
    if isinstance(declaration, Audit) and declaration.target is not None:
        return node_id(declaration.target.kind, declaration.target.name)
    return None
