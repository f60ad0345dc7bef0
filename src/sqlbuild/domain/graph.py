"""The checked graph of a project."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Literal

from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.hooks import CompiledHook
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation
from sqlbuild.domain.incremental import IncrementalSql
from sqlbuild.domain.nodes import Audit, Declaration, Function, Model, PythonFunction, Seed, Severity, Source, UnitTest
from sqlbuild.domain.record import SELDOM, record
from sqlbuild.domain.source_map import Expansion
from sqlbuild.domain.unit_tests import UnitTestPlan
from sqlbuild.errors import Problem

_STALE = "stale"

FingerprintPart = Literal["code", "settings", "upstream"]


class Fingerprint:
    """What a node is made of, in parts, so that a change can be explained. Every part is a hex digest.

    `total` covers the other three; it is what is compared. `stored()` is the text that is kept with a result, and all
    that is kept here: there is one for every node.
    """

    __slots__ = ("_stored",)

    def __init__(self, *, code: str, settings: str, upstream: str, total: str) -> None:
        self._stored = f"{total}:{code}:{settings}:{upstream}"

    @property
    def total(self) -> str:
        return self._stored.partition(":")[0]

    @property
    def code(self) -> str:
        return self._stored.split(":")[1]

    @property
    def settings(self) -> str:
        return self._stored.split(":")[2]

    @property
    def upstream(self) -> str:
        return self._stored.rpartition(":")[2]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and other._stored == self._stored

    def __hash__(self) -> int:
        return hash(self._stored)

    def __repr__(self) -> str:
        return f"<fingerprint {self._stored}>"

    def stored(self) -> str:
        """All parts as one text, for `NodeResult.fingerprint`."""
        return self._stored

    def stored_as_stale(self) -> str:
        """For a node that was built while an upstream was not what its code gives: later its upstream has changed."""
        return f"{_STALE}:{self.code}:{self.settings}:{_STALE}"

    def with_upstream(self, upstream: str, total: str) -> Fingerprint:
        """The same node, with other upstreams."""
        return Fingerprint(code=self.code, settings=self.settings, upstream=upstream, total=total)

    @classmethod
    def parse(cls, stored: str) -> Fingerprint | None:
        """The fingerprint that `stored()` wrote, or None if the text is not one."""
        parts = stored.split(":")
        if len(parts) != 4 or not all(parts):
            return None
        total, code, settings, upstream = parts
        return cls(code=code, settings=settings, upstream=upstream, total=total)

    def changed_parts(self, stored: str | None) -> tuple[FingerprintPart, ...]:
        """Which parts differ from what was stored, the most telling first; empty if nothing changed.

        Without a readable stored text the code counts as changed: nobody can say that it did not.
        """
        if stored is None:
            return ("code",)
        if stored.partition(":")[0] == self.total:
            return ()
        before = Fingerprint.parse(stored)
        if before is None:
            return ("code",)
        changed: list[FingerprintPart] = []
        if before.code != self.code:
            changed.append("code")
        if before.settings != self.settings:
            changed.append("settings")
        if before.upstream != self.upstream:
            changed.append("upstream")
        return tuple(changed) or ("code",)


@record(frozen=True, slots=True, kw_only=True)
class Node:
    """One compiled node."""

    id: NodeId
    kind: NodeKind
    name: str
    place: Place
    declaration: Declaration
    depends_on: tuple[NodeId, ...] = ()
    relation: Relation | None = None
    """The relation a model or seed builds or a table source names; for a function its own qualified name. None for expression sources and Python nodes."""
    sql: str | None = None
    """Models: the query with every reference replaced by what it reads; it begins on the line of the model's query and
    keeps its line breaks. Expression sources: the expression. Table sources with declared types: the query that casts
    them. A source's text becomes part of other SQL by `sql.rendering.render_source_expression`. Audits: the query for
    rows that must not be."""
    expansions: tuple[Expansion, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """What of a model's `sql` macros gave; line breaks in it are not those of the model's file."""
    incremental_sql: IncrementalSql | None = dataclasses.field(default=None, metadata=SELDOM)
    """Of incremental models: what a build runs. Their `sql` has NULL for the bounds of the window."""
    around_target: tuple[str, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """Audits of a model: `sql` in pieces, between which the model's relation belongs, so that it can be another one."""
    columns: tuple[Column, ...] | None = None
    """None where they are not known."""
    column_lineage: Mapping[str, tuple[ColumnReference, ...]] = dataclasses.field(default_factory=dict)
    providers: tuple[str, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """Names of the providers that a Python node may use: by its parameters, or as `ctx.providers.name`."""
    hooks: tuple[CompiledHook, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """Of a model, those before it is built and those after."""
    notes: tuple[str, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """For example `columns not checked: PIVOT`."""
    tested_by: tuple[NodeId, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """Unit tests of a model: it waits for those that are in a run, and reads nothing of them."""
    tests: tuple[NodeId, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """Of a unit test: the models that wait for it."""
    unit_test: UnitTestPlan | None = dataclasses.field(default=None, metadata=SELDOM)
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


def _common(declaration: Declaration) -> PythonFunction | Model | Source | Seed | Function | UnitTest | Audit:
    return (
        declaration
        if isinstance(declaration, Model | Source | Seed | Function | UnitTest | Audit)
        else declaration.declared
    )


@record(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes in a topological order (upstreams first), with edges both ways."""

    nodes: Mapping[NodeId, Node]
    downstream: Mapping[NodeId, tuple[NodeId, ...]]
    """Of the nodes that something depends on."""
    audits: Mapping[NodeId, tuple[NodeId, ...]] = dataclasses.field(default_factory=dict)
    """Model, source or seed -> the audits that are attached to it."""
    warnings: tuple[Problem, ...] = ()
    deferred: Mapping[NodeId, Relation] = dataclasses.field(default_factory=dict)
    """What is read where another target has built it, and is not built by this run."""

    def upstream(self, node: NodeId) -> tuple[NodeId, ...]:
        return self.nodes[node].depends_on

    def directly_below(self, node: NodeId) -> tuple[NodeId, ...]:
        return self.downstream.get(node, ())

    def ancestors(self, nodes: Iterable[NodeId], depth: int | None = None) -> set[NodeId]:
        """All upstreams of `nodes` up to `depth` steps away, without recursion; `nodes` themselves are not included."""
        return _reach(nodes, lambda node: self.nodes[node].depends_on, depth)

    def descendants(self, nodes: Iterable[NodeId], depth: int | None = None) -> set[NodeId]:
        return _reach(nodes, self.directly_below, depth)


def gates_among(graph: Graph, nodes: Container[NodeId]) -> dict[NodeId, NodeId]:
    """Gate -> model, of a run of `nodes`: audits of severity error that look at what their model has staged."""
    return {
        audit: target
        for target, audits in graph.audits.items()
        if target in nodes and is_staged_whole(graph.nodes[target].declaration)
        for audit in audits
        if audit in nodes and stops_what_comes_after(graph.nodes[audit])
    }


def is_staged_whole(declaration: Declaration) -> bool:
    """Whether its audits look at all of it before it is published. Those of others, such as sources, look at it where it is, before
    anybody reads it; an incremental model lets them look at each delta besides."""
    return isinstance(declaration, Model) and declaration.incremental is None


def stops_what_comes_after(audit: Node) -> bool:
    """Whether an audit that fails keeps what it is attached to from being read."""
    return isinstance(audit.declaration, Audit) and audit.declaration.severity is Severity.ERROR


def _reach(start: Iterable[NodeId], step: Callable[[NodeId], tuple[NodeId, ...]], depth: int | None) -> set[NodeId]:
    frontier = list(start)
    reached: set[NodeId] = set()
    steps = 0
    while frontier and (depth is None or steps < depth):
        following = {near for node in frontier for near in step(node)} - reached
        reached |= following
        frontier, steps = list(following), steps + 1
    return reached
