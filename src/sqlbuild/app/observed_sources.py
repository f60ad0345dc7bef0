"""What was seen of the data of sources, and the graph that knows it."""

from __future__ import annotations

from collections.abc import Collection

from sqlbuild.compiler.fingerprints import with_data_versions
from sqlbuild.domain.freshness import Freshness, effective_version
from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.nodes import Source
from sqlbuild.domain.past import Past
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class Observation:
    """`version` is None where it could not be read; `message` says why. `before` is what the target has seen last."""

    node: Node
    version: str | None
    before: str | None
    message: str = ""
    age: float | None = None
    """Seconds, of a timestamp."""

    @property
    def freshness(self) -> Freshness:
        assert isinstance(self.node.declaration, Source)
        assert self.node.declaration.freshness is not None
        return self.node.declaration.freshness

    @property
    def effective(self) -> str | None:
        """What counts as the version now."""
        return self.before if self.version is None else effective_version(self.before, self.version, self.freshness)

    @property
    def status(self) -> str:
        """`new` before the target has seen any, else `changed`, `tolerated` or `unchanged`; `error`."""
        if self.version is None:
            return "error"
        if self.before is None:
            return "new"
        if self.version == self.before:
            return "unchanged"
        return "tolerated" if self.effective == self.before else "changed"

    @property
    def age_status(self) -> str | None:
        """`pass`, `warn` or `error` by the source's age policy; None without one, or without an age."""
        freshness = self.freshness
        if self.age is None or (freshness.warn_after is None and freshness.error_after is None):
            return None
        if freshness.error_after is not None and self.age > freshness.error_after:
            return "error"
        return "warn" if freshness.warn_after is not None and self.age > freshness.warn_after else "pass"


def is_watched(node: Node) -> bool:
    return isinstance(node.declaration, Source) and node.declaration.freshness is not None


def with_observed(graph: Graph, past: Past, observed: Collection[Observation] = ()) -> Graph:
    """The graph with the versions that were seen last, and those that are seen now."""
    watched = {node.id for node in graph.nodes.values() if is_watched(node)}
    versions: dict[NodeId, str] = {id: text for id, text in past.source_versions.items() if id in watched}
    versions |= {each.node.id: each.effective for each in observed if each.effective is not None}
    return with_data_versions(graph, versions)
