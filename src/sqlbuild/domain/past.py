"""What a target already holds, read once before a plan is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.results import Status


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PastNode:
    """The stored history of one node in this target."""

    last_status: Status
    last_run_id: str
    last_success_run_id: str | None = None
    last_success_fingerprint: str | None = None
    last_success_at: float | None = None
    typical_seconds: float | None = None
    """Median of the last five successful durations."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    nodes: Mapping[NodeId, PastNode] = dataclasses.field(default_factory=dict)
    relations: frozenset[Relation] = frozenset()
    """Existing tables and views, with lower-cased database, schema and name; database as the warehouse names it."""
    last_run_id: str | None = None
    last_run: Mapping[NodeId, Status] = dataclasses.field(default_factory=dict)
    """How each node of the last run ended, for `result:` selectors."""
