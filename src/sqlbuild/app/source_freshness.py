"""What version the data of sources has now, and whether that is news to the target."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping

import anyio

from sqlbuild.app.event_loop import run_async
from sqlbuild.app.observed_sources import Observation, is_watched
from sqlbuild.app.options import Compiled
from sqlbuild.app.target_access import Patience
from sqlbuild.app.wiring import make_access, make_store, make_warehouse
from sqlbuild.domain.freshness import (
    NO_ROWS,
    Freshness,
    FreshnessStrategy,
    VersionKind,
    age_seconds,
    version_text,
)
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.nodes import Source
from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError, SqlbuildError, WarehouseUnreachable
from sqlbuild.interfaces.warehouse import Extent, Warehouse
from sqlbuild.selector.select_nodes import select_nodes, select_only
from sqlbuild.sql.rendering import quote_identifier, quote_relation, render_source_expression


def observe_freshness(compiled: Compiled, selection: Selection, patience: Patience) -> tuple[Observation, ...]:
    """Of the selected sources and those that selected nodes read. Raises SelectionError if none of them has `freshness`."""
    return run_async(_observe_alone, compiled, selection, patience, backend="asyncio")  # type: ignore[no-any-return]


async def observe_for(
    compiled: Compiled, selection: Selection, past: Past, warehouse: Warehouse
) -> tuple[Observation, ...]:
    """Of the sources with `freshness` that what is selected reads, or that are selected."""
    graph = compiled.graph
    watched = [node for node in graph.nodes.values() if is_watched(node)]
    if not watched:
        return ()
    if selection.loaders_alone or selection.seeds_alone:
        chosen = select_nodes(graph, past, selection).nodes
    else:
        chosen = select_only(graph, past, selection)
    near = graph.ancestors(chosen) | set(chosen)
    return await _observe(
        [node for node in watched if node.id in near],
        past,
        warehouse,
        at_once=compiled.project.settings.run.connections,
    )


def news_in(observed: Collection[Observation]) -> dict[NodeId, str]:
    """Versions that the target has not seen."""
    return {each.node.id: each.effective for each in observed if each.effective not in (None, each.before)}


def told_of(observed: Collection[Observation]) -> list[str]:
    """What a run says of them before it begins: new data, and what could not be seen."""
    told = []
    for each in observed:
        if each.status == "changed":
            told.append(f"{each.node.id} has new data: {each.version}, was {each.before}")
        elif each.status == "error":
            told.append(f"the freshness of {each.node.id} cannot be seen: {each.message}")
    return told


async def _observe_alone(compiled: Compiled, selection: Selection, patience: Patience) -> tuple[Observation, ...]:
    settings = compiled.project.settings
    access = make_access(settings, "sqb freshness", patience)
    try:
        await access.wait_until_readable()
        warehouse = make_warehouse(settings, compiled.project.root)
        if not warehouse.exists():
            raise WarehouseUnreachable(
                f"target {settings.target.name} has no database yet", help="`sqb build` makes one; or correct its path"
            )
        await access.open(warehouse, read_only=True)
        past = await make_store(warehouse, settings).past()
        found = await observe_for(compiled, selection, past, warehouse)
        if not found:
            # A name that nothing has is the reason, if there is one: without sources to look at nobody has asked.
            select_only(compiled.graph, past, selection)
        if not found and not selection.allow_empty:
            raise SelectionError(
                "no source with `freshness` is selected",
                help="give a source `freshness: {column: updated_at}` in its YAML",
            )
        return found
    finally:
        await access.close()


async def _observe(
    nodes: Collection[Node], past: Past, warehouse: Warehouse, *, at_once: int
) -> tuple[Observation, ...]:
    limiter = anyio.CapacityLimiter(at_once)
    found: dict[NodeId, Observation] = {}

    async def observe(node: Node) -> None:
        async with limiter:
            found[node.id] = await _observed(node, past.source_versions.get(node.id), warehouse)

    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(observe, node)
    return tuple(found[node.id] for node in nodes)


async def _observed(node: Node, before: str | None, warehouse: Warehouse) -> Observation:
    assert isinstance(node.declaration, Source)
    freshness = node.declaration.freshness
    assert freshness is not None
    try:
        version = await _version(node, freshness, warehouse)
    except (SqlbuildError, ValueError) as error:
        message = str(error.args[0]) if error.args else str(error)
        return Observation(node=node, version=None, before=before, message=message.splitlines()[0])
    age = None
    if freshness.kind is VersionKind.TIMESTAMP and version != NO_ROWS:
        age = age_seconds(version, datetime.datetime.now(datetime.UTC))
    return Observation(node=node, version=version, before=before, age=age)


async def _version(node: Node, freshness: Freshness, warehouse: Warehouse) -> str:
    if freshness.strategy is FreshnessStrategy.ADAPTER:
        if node.relation is None:
            raise ValueError("an expression has no table that the warehouse could tell of; use column or query")
        known = await warehouse.table_version(node.relation)
        if known is None:
            raise ValueError(f"{node.relation} is no table that the warehouse knows")
        return known
    if freshness.strategy is FreshnessStrategy.SQL:
        sql = freshness.query or ""
    else:
        where = f" WHERE {freshness.filter}" if freshness.filter else ""
        sql = f"SELECT max({quote_identifier(freshness.column or '')}) FROM {_read(node)}{where}"
    connection = warehouse.connect()
    try:
        rows = await (await connection.query(sql, extent=Extent.WHOLE)).fetch()
    finally:
        await connection.close()
    if len(rows) > 1 or (rows and len(rows[0]) != 1):
        raise ValueError("its query must give one value")
    return version_text(rows[0][0] if rows else None, freshness.kind)


def _read(node: Node) -> str:
    if node.relation is not None:
        return quote_relation(node.relation)
    return f'{render_source_expression(node.sql or "")} AS "_"'


def summary_of(observed: Collection[Observation], *, compared: bool) -> Mapping[str, int]:
    """How many have each status; without being `compared` with what was seen before they are just observed."""
    words = ("new", "changed", "tolerated", "unchanged") if compared else ("observed",)
    counts = dict.fromkeys((*words, "error"), 0)
    for each in observed:
        counts[each.status if compared or each.version is None else "observed"] += 1
    return counts
