"""Stored results as nodes read them: `ctx.result_of` and `ctx.results_of`."""

from __future__ import annotations

import datetime
import json

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.results import SUCCESSES, NodeResult, UpstreamResult
from sqlbuild.interfaces.state_store import StateStore


def as_upstream_result(result: NodeResult) -> UpstreamResult:
    return UpstreamResult(
        payload=None if result.payload is None else json.loads(result.payload),
        metadata=None if result.metadata is None else json.loads(result.metadata),
        status=str(result.status),
        ts=datetime.datetime.fromtimestamp(result.finished_at or 0.0, datetime.UTC),
        run_id=result.run_id,
        materialized=result.materialized,
    )


async def last_upstream_results(
    store: StateStore, upstream: NodeId, in_run: NodeResult | None, limit: int
) -> list[UpstreamResult]:
    """The last successes of `upstream`, newest first. Its result of this run, if it has ended, comes first: the store
    may not have it yet."""
    stored = await store.last_successes(upstream, limit)
    if in_run is not None and in_run.status in SUCCESSES:
        stored = (in_run, *(result for result in stored if result.run_id != in_run.run_id))[:limit]
    return [as_upstream_result(result) for result in stored]
