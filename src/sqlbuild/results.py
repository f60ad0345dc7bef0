"""What a run from Python gives, how it ended and how each of its nodes did; and what `ctx.export` gives."""

from __future__ import annotations

from sqlbuild.domain.exports import ExportResult
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.results import ErrorFacts, NodeOutcome, NodeResult, RunResult, SkipMode, Status

__all__ = [
    "ErrorFacts",
    "ExportResult",
    "NodeId",
    "NodeKind",
    "NodeOutcome",
    "NodeResult",
    "RunResult",
    "SkipMode",
    "Status",
]
