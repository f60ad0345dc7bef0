"""The checked graph of a project."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation
from sqlbuild.domain.nodes import Asset, Declaration, Model, PythonFunction, Source, Task
from sqlbuild.errors import Problem


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a node is made of, in parts, so that a change can be explained. Every part is a hex digest.

    `total` covers the other three; it is what is stored and compared.
    """

    code: str
    settings: str
    upstream: str
    total: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One compiled node."""

    id: NodeId
    kind: NodeKind
    name: str
    place: Place
    declaration: Declaration
    depends_on: tuple[NodeId, ...] = ()
    relation: Relation | None = None
    """The relation a model builds or a table source names; None for expression sources and Python nodes."""
    sql: str | None = None
    """Models: the query with every reference replaced by its quoted relation. Expression sources: the expression."""
    columns: tuple[Column, ...] | None = None
    """None where they are not known."""
    column_lineage: Mapping[str, tuple[ColumnReference, ...]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """For example `columns not checked: PIVOT`."""
    fingerprint: Fingerprint

    @property
    def tags(self) -> tuple[str, ...]:
        return _common(self.declaration).tags

    @property
    def group(self) -> str | None:
        return _common(self.declaration).group

    @property
    def description(self) -> str:
        return _common(self.declaration).description

    @property
    def meta(self) -> Mapping[str, object]:
        return _common(self.declaration).meta


def _common(declaration: Declaration) -> PythonFunction | Model | Source:
    match declaration:
        case Task(declared=declared) | Asset(declared=declared):
            return declared
        case Model() | Source():
            return declaration


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes in a topological order (upstreams first), with edges both ways."""

    nodes: Mapping[NodeId, Node]
    downstream: Mapping[NodeId, tuple[NodeId, ...]]
    warnings: tuple[Problem, ...] = ()

    def upstream(self, node: NodeId) -> tuple[NodeId, ...]:
        return self.nodes[node].depends_on

    def ancestors(self, nodes: Iterable[NodeId], depth: int | None = None) -> set[NodeId]:
        """All upstreams of `nodes` up to `depth` steps away, without recursion; `nodes` themselves are not included."""
        return _reach(nodes, lambda node: self.nodes[node].depends_on, depth)

    def descendants(self, nodes: Iterable[NodeId], depth: int | None = None) -> set[NodeId]:
        return _reach(nodes, lambda node: self.downstream[node], depth)


def _reach(start: Iterable[NodeId], step: Callable[[NodeId], tuple[NodeId, ...]], depth: int | None) -> set[NodeId]:
    frontier = list(start)
    reached: set[NodeId] = set()
    steps = 0
    while frontier and (depth is None or steps < depth):
        following = {near for node in frontier for near in step(node)} - reached
        reached |= following
        frontier, steps = list(following), steps + 1
    return reached
