"""What a target already holds, read once before a plan is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeId, NodeKind, Relation
from sqlbuild.domain.nodes import Source
from sqlbuild.domain.record import record
from sqlbuild.domain.results import SUCCESSES, RunResult, Status


class PastNode(NamedTuple):
    """The stored history of one node in this target. A tuple, as there is one of every node after every run."""

    last_status: Status
    last_run_id: str
    last_success_run_id: str | None = None
    last_success_fingerprint: str | None = None
    last_success_at: float | None = None
    typical_seconds: float | None = None
    """Median of the last five successful durations."""


@record(frozen=True, slots=True, kw_only=True)
class Past:
    nodes: Mapping[NodeId, PastNode] = dataclasses.field(default_factory=dict)
    relations: frozenset[Relation] = frozenset()
    """Existing tables and views, with lower-cased database, schema and name; database as the warehouse names it."""
    last_run_id: str | None = None
    source_versions: Mapping[NodeId, str] = dataclasses.field(default_factory=dict)
    """Of the data of sources whose freshness is looked at, as the last run has seen it."""

    def last_run(self) -> dict[NodeId, Status]:
        """How each node of the last run ended."""
        return {
            node: stored.last_status for node, stored in self.nodes.items() if stored.last_run_id == self.last_run_id
        }

    def lacks(self, node: Node) -> bool:
        """Whether whoever reads `node` would find nothing in this target.

        A model and a managed source are there if their relation exists, a function, task or asset if a success of it is
        stored,
        a loader if both are so; any other source always is.
        """
        if node.kind is NodeKind.SOURCE and not _is_managed(node):
            return False
        if node.kind is NodeKind.LOADER and not self._has_success(node):
            return True
        if node.relation is not None and node.kind is not NodeKind.FUNCTION:
            return self.lacks_relation(node.relation)
        return not self._has_success(node)

    def lacks_relation(self, relation: Relation) -> bool:
        if relation in self.relations:
            return False
        return Relation(relation.database.lower(), relation.schema.lower(), relation.name.lower()) not in self.relations

    def is_outdated(self, node: Node) -> bool:
        """Whether what this target has of `node` is not what its code gives, or its last run did not succeed."""
        stored = self.nodes.get(node.id)
        if stored is None or stored.last_success_run_id is None or self.lacks(node):
            return True
        if stored.last_status not in SUCCESSES and stored.last_status is not Status.SKIPPED:
            return True
        return bool(node.fingerprint.changed_parts(stored.last_success_fingerprint))

    def newer_upstream(self, node: Node, graph: Graph) -> NodeId | None:
        """An upstream that succeeded after `node` did last, in another run; of a source that is filled here, what fills it.

        In one run a node ends before its upstream only if it looks at that before others may: an audit that is a gate.
        A function has no rows: what it reads counts for what calls it, however often it is made anew.
        """
        stored = self.nodes.get(node.id)
        if node.kind is NodeKind.FUNCTION or stored is None or stored.last_success_at is None:
            return None
        for near in behind_sources(graph, _behind_functions(graph, node.depends_on)):
            other = self.nodes.get(near)
            if other is None or other.last_success_run_id == stored.last_success_run_id:
                continue
            if (other.last_success_at or 0.0) > stored.last_success_at:
                return near
        return None

    def _has_success(self, node: Node) -> bool:
        stored = self.nodes.get(node.id)
        return stored is not None and stored.last_success_run_id is not None

    def after(self, run: RunResult, graph: Graph) -> Past:
        """The past that a run leaves behind. Typical durations of nodes that had one stay until the target is read."""
        relations = set(self.relations)
        for node, result in run.results.items():
            built = graph.nodes[node].relation if result.status in SUCCESSES else None
            if built is not None:
                relations.add(Relation(built.database.lower(), built.schema.lower(), built.name.lower()))
        return Past(
            nodes=_NodesAfter(self.nodes, run),
            relations=frozenset(relations),
            last_run_id=run.run_id,
            source_versions=self.source_versions,
        )


class _NodesAfter(Mapping[NodeId, PastNode]):
    """The history of each node behind a run, made when it is asked for: of all nodes it is as large as their results."""

    def __init__(self, before: Mapping[NodeId, PastNode], run: RunResult) -> None:
        self._before = before
        self._run = run

    def __getitem__(self, node: NodeId) -> PastNode:
        result = self._run.results.get(node)
        if result is None:
            return self._before[node]
        before, run_id = self._before.get(node), self._run.run_id
        if result.status in SUCCESSES:
            typical = before.typical_seconds if before is not None else None
            return PastNode(
                last_status=result.status,
                last_run_id=run_id,
                last_success_run_id=run_id,
                last_success_fingerprint=result.fingerprint,
                last_success_at=result.finished_at,
                typical_seconds=result.duration if typical is None else typical,
            )
        if before is None:
            return PastNode(last_status=result.status, last_run_id=run_id)
        return before._replace(last_status=result.status, last_run_id=run_id)

    def __contains__(self, node: object) -> bool:
        return node in self._run.results or node in self._before

    def __iter__(self) -> Iterator[NodeId]:
        yield from self._before
        yield from (node for node in self._run.results if node not in self._before)

    def __len__(self) -> int:
        return len(self._before) + sum(node not in self._before for node in self._run.results)


def _behind_functions(graph: Graph, upstreams: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
    """The upstreams, with those of functions in the place of the functions."""
    if not any(graph.nodes[near].kind is NodeKind.FUNCTION for near in upstreams):
        return upstreams
    found: dict[NodeId, None] = {}
    pending = list(reversed(upstreams))
    while pending:
        near = pending.pop()
        if near not in found and graph.nodes[near].kind is NodeKind.FUNCTION:
            pending += reversed(graph.nodes[near].depends_on)
        found[near] = None
    return tuple(near for near in found if graph.nodes[near].kind is not NodeKind.FUNCTION)


def behind_sources(graph: Graph, nodes: Iterable[NodeId]) -> Iterator[NodeId]:
    """`nodes` with what fills a source in the place of the source."""
    for id in nodes:
        node = graph.nodes[id]
        if node.kind is NodeKind.SOURCE:
            yield from node.depends_on
        else:
            yield id


def _is_managed(node: Node) -> bool:
    return isinstance(node.declaration, Source) and node.declaration.managed
