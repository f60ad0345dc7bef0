"""`sqb plan`: what a build would do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.app.building import plan_from
from sqlbuild.app.event_loop import run_async
from sqlbuild.app.observed_sources import with_observed
from sqlbuild.app.options import Compiled
from sqlbuild.app.source_freshness import observe_for, told_of
from sqlbuild.app.sql_diffs import SqlDiff, sql_diff
from sqlbuild.app.target_access import Patience
from sqlbuild.app.wiring import make_access, make_deltas, make_store, make_warehouse
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.incremental import Refresh
from sqlbuild.domain.kept_sql import keys_of_last_success
from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.selection import Selection
from sqlbuild.runner.kinds.foreseen_windows import with_windows


def plan_with_diffs(
    compiled: Compiled, selection: Selection, patience: Patience, refresh: Refresh
) -> tuple[Plan, Mapping[NodeId, SqlDiff]]:
    """What a build would do, and what has changed in the SQL of models. Reads the warehouse and changes nothing."""
    return run_async(_plan, compiled, selection, patience, refresh, backend="asyncio")  # type: ignore[no-any-return]


async def _plan(
    compiled: Compiled, selection: Selection, patience: Patience, refresh: Refresh
) -> tuple[Plan, Mapping[NodeId, SqlDiff]]:
    settings = compiled.project.settings
    access = make_access(settings, "sqb plan", patience)
    try:
        await access.wait_until_readable()
        warehouse = make_warehouse(settings, compiled.project.root)
        if not warehouse.exists():
            return await with_windows(plan_from(compiled, selection, Past(), refresh)), {}
        await access.open(warehouse, read_only=True)
        store = make_store(warehouse, settings)
        past = await store.past()
        observed = await observe_for(compiled, selection, past, warehouse)
        compiled = dataclasses.replace(compiled, graph=with_observed(compiled.graph, past, observed))
        made = await with_windows(plan_from(compiled, selection, past, refresh), warehouse, make_deltas(settings))
        made = dataclasses.replace(made, news=tuple(told_of(observed)))
        nodes = [step.node for step in made.steps.values()]
        keys = keys_of_last_success(nodes, past)
        kept = await store.sql_of(keys.values())
        return made, {node: sql_diff(compiled.graph.nodes[node], kept.get(key), past) for node, key in keys.items()}
    finally:
        await access.close()
