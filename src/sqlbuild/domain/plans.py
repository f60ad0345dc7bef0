"""What a run will do and why."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.incremental import IncrementalBuild
from sqlbuild.domain.record import SELDOM, record


class Reason(enum.StrEnum):
    """Why a node is in the plan, seen against its last success in this target."""

    FIRST_RUN = "first run"
    RELATION_MISSING = "relation is missing"
    CODE_CHANGED = "code changed"
    SETTINGS_CHANGED = "settings changed"
    UPSTREAM_CHANGED = "upstream changed"
    LAST_FAILED = "last run failed"
    RESUMED = "resumed"
    """The run that is gone on with has no success of it that holds."""
    SELECTED = "selected"
    """Nothing changed; it runs because it was selected."""


@record(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of a plan."""

    node: Node
    upstream: tuple[NodeId, ...]
    """Upstreams inside the run; the others are read as they stand."""
    only_waits_for: tuple[NodeId, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """Those of `upstream` that it does not depend on, but that audits read or are."""
    reason: Reason
    why: str = ""
    """The reason in words, for example `code and settings changed since run R` or `required: never built`."""
    required: bool = False
    """Added because something selected needs it and this target lacks it."""
    typical_seconds: float | None = None
    reads_stale: bool = dataclasses.field(default=False, metadata=SELDOM)
    """Something upstream that this run does not build is not what its code gives now."""
    priority: float = 0.0
    """Seconds of the longest path from this node's start to the end of the run."""

    incremental: IncrementalBuild | None = dataclasses.field(default=None, metadata=SELDOM)
    """Of an incremental model."""
    does: str = dataclasses.field(default="", metadata=SELDOM)
    """What would be done, where somebody has looked: for example `delete_insert 2026-04-01 to 2026-04-06`."""

    def fingerprint_to_store(self) -> str:
        """What a success of this step is kept with, for the next plan to compare."""
        fingerprint = self.node.fingerprint
        return fingerprint.stored_as_stale() if self.reads_stale else fingerprint.stored()


@record(frozen=True, slots=True, kw_only=True)
class Plan:
    target: str
    graph: Graph
    steps: Mapping[NodeId, Step]
    """In a topological order."""
    warnings: tuple[str, ...] = ()
    """For example: `uses the result of run R, code changed since`."""
    news: tuple[str, ...] = ()
    """What has been seen of the data of sources, where somebody has looked."""
    critical_path: tuple[NodeId, ...] = ()
    kept: int | None = None
    """Of a run that is resumed: how many of its nodes keep what they have done; `steps` are the others."""
    estimated_seconds: float | None = None
    """Along the critical path; None without any history."""
