"""The phase: what will run, in which order of urgency, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlbuild.domain.graph import Graph, gates_among
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.incremental import NO_REFRESH, Refresh
from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Plan, Reason, Step
from sqlbuild.domain.selection import Selected
from sqlbuild.errors import SelectionError
from sqlbuild.planner.audit_waits import audit_waits
from sqlbuild.planner.explain import explain, explain_use
from sqlbuild.planner.incremental_builds import incremental_build, refuse_mixed_cursors

ASSUMED_SECONDS = 1.0
"""The length of a node without history."""


def build_plan(graph: Graph, selected: Selected, past: Past, *, target: str, refresh: Refresh = NO_REFRESH) -> Plan:
    """The steps of a run in topological order, with reasons, priorities and warnings.

    A source is no step: what reads it waits for what fills it. An upstream outside the run is no gate; it is read as
    it stands, and a warning tells where that is not what its code gives now. Raises SelectionError if only sources
    are selected, unless the selection may be empty, and for bounds of `refresh` that do not fit the cursors.
    """
    upstreams = upstreams_of(graph, selected.nodes)
    if not upstreams and selected.nodes and not selected.allow_empty:
        raise _only_sources(graph, selected)
    waits = audit_waits(graph, upstreams)
    in_run = {
        # A model waits for its tests too, though it reads nothing of them.
        node: _without_repeats(
            *(near for near in (*ups, *graph.nodes[node].tested_by) if near in upstreams), *waits.get(node, ())
        )
        if ups or node in waits or graph.nodes[node].tested_by
        else ()
        for node, ups in upstreams.items()
    }
    seconds = {node: _typical_seconds(past, node) for node in upstreams}
    priorities, following = _longest_paths(in_run, seconds, gates_among(graph, in_run))
    stale = _readers_of_stale(graph, past, upstreams)
    refuse_mixed_cursors((graph.nodes[id] for id in in_run), refresh)
    steps: dict[NodeId, Step] = {}
    for id, upstream in in_run.items():
        node, required = graph.nodes[id], id in selected.required
        reason, why = explain(node, past, required=required, newer=past.newer_upstream(node, graph))
        if selected.changed and reason is Reason.SELECTED and upstream:
            why = f"follows {upstream[0]}"
        steps[id] = Step(
            node=node,
            upstream=upstream,
            only_waits_for=tuple(near for near in waits.get(id, ()) if near not in upstreams[id]),
            reason=reason,
            why=why,
            required=required,
            typical_seconds=seconds[id],
            priority=priorities[id],
            reads_stale=id in stale,
            incremental=incremental_build(node, past.nodes.get(id), refresh),
        )
    critical_path = _critical_path(priorities, following)
    known = any(length is not None for length in seconds.values())
    return Plan(
        target=target,
        graph=graph,
        steps=steps,
        warnings=(*selected.warnings, *_warnings(graph, past, upstreams)),
        critical_path=critical_path,
        estimated_seconds=priorities[critical_path[0]] if known else None,
    )


def _without_repeats(*nodes: NodeId) -> tuple[NodeId, ...]:
    return tuple(dict.fromkeys(nodes))


def upstreams_of(graph: Graph, nodes: Collection[NodeId]) -> dict[NodeId, tuple[NodeId, ...]]:
    """Every step's direct upstreams, in the run or not, with what fills a source in the place of the source."""
    behind_source: dict[NodeId, tuple[NodeId, ...]] = {}
    upstreams: dict[NodeId, tuple[NodeId, ...]] = {}
    for id, node in graph.nodes.items():
        is_source = node.kind is NodeKind.SOURCE
        if not is_source and id not in nodes:
            continue
        direct: dict[NodeId, None] = {}
        for near in node.depends_on:
            if near in behind_source:
                direct.update(dict.fromkeys(behind_source[near]))
            else:
                direct[near] = None
        (behind_source if is_source else upstreams)[id] = tuple(direct)
    return upstreams


def _readers_of_stale(graph: Graph, past: Past, upstreams: Mapping[NodeId, tuple[NodeId, ...]]) -> set[NodeId]:
    """Steps that read, directly or through other steps, a result from outside the run that is not up to date."""
    stale: set[NodeId] = set()
    current: dict[NodeId, bool] = {}
    for id, ups in upstreams.items():
        for near in ups:
            if near in upstreams:
                is_stale = near in stale
            else:
                if near not in current:
                    stored = past.nodes.get(near)
                    known = stored.last_success_fingerprint if stored is not None else None
                    current[near] = not graph.nodes[near].fingerprint.changed_parts(known)
                is_stale = not current[near] and graph.nodes[near].kind is not NodeKind.SOURCE
            if is_stale:
                stale.add(id)
                break
    return stale


def _typical_seconds(past: Past, node: NodeId) -> float | None:
    stored = past.nodes.get(node)
    return stored.typical_seconds if stored is not None else None


def _longest_paths(
    in_run: dict[NodeId, tuple[NodeId, ...]],
    seconds: Mapping[NodeId, float | None],
    guards: Mapping[NodeId, NodeId],
) -> tuple[dict[NodeId, float], dict[NodeId, NodeId]]:
    """Seconds from each node's start to the end of the run, and which node follows it on that path.

    `guards` maps gates to their models: what comes after a model comes after its gates.
    """
    after: dict[NodeId, float] = {}
    following: dict[NodeId, NodeId] = {}
    priorities: dict[NodeId, float] = {}
    gates: dict[NodeId, list[NodeId]] = {}
    for gate, model in guards.items():
        gates.setdefault(model, []).append(gate)

    def follows(node: NodeId, upstream: NodeId) -> None:
        if upstream not in after or priorities[node] >= after[upstream]:
            after[upstream] = priorities[node]
            following[upstream] = node

    for node in reversed(in_run):
        own = seconds[node]
        priorities[node] = ASSUMED_SECONDS if own is None else own
        if node in after:
            priorities[node] += after[node]
        for gate in gates.get(node, ()):
            if node in following:
                priorities[gate] += after[node]
                following[gate] = following[node]
        for gate in gates.get(node, ()):
            follows(gate, node)
            priorities[node] = (ASSUMED_SECONDS if own is None else own) + after[node]
        for upstream in in_run[node]:
            if guards.get(node) != upstream:
                follows(node, upstream)
    return priorities, following


def _critical_path(priorities: dict[NodeId, float], following: Mapping[NodeId, NodeId]) -> tuple[NodeId, ...]:
    if not priorities:
        return ()
    # Last first in `priorities`: of equally long paths the one that starts first in the topological order is told.
    longest = max(priorities.values())
    path = [next(node for node in reversed(priorities) if priorities[node] == longest)]
    while (node := following.get(path[-1])) is not None:
        path.append(node)
    return tuple(path)


def _warnings(graph: Graph, past: Past, upstreams: Mapping[NodeId, tuple[NodeId, ...]]) -> tuple[str, ...]:
    readers: dict[NodeId, list[NodeId]] = {}
    for node, ups in upstreams.items():
        for upstream in ups:
            if upstream not in upstreams:
                readers.setdefault(upstream, []).append(node)
    elsewhere = [f"{upstream} at {graph.deferred[upstream]}" for upstream in readers if upstream in graph.deferred]
    warnings = [f"read from another target: {', '.join(elsewhere)}"] if elsewhere else []
    for upstream, reading in readers.items():
        if upstream in graph.deferred:
            continue
        others = f" (and {len(reading) - 1} more)" if len(reading) > 1 else ""
        warning = explain_use(graph.nodes[upstream], past.nodes.get(upstream), f"{reading[0]}{others}")
        if warning is not None:
            warnings.append(warning)
    return tuple(warnings)


def _only_sources(graph: Graph, selected: Selected) -> SelectionError:
    first = min(selected.nodes)
    loaders = [near for source in sorted(selected.nodes) for near in graph.nodes[source].depends_on]
    loads = f"'{loaders[0]}' to load it, or " if loaders else ""
    return SelectionError(
        f"nothing to run: only sources are selected ({first}{', ...' if len(selected.nodes) > 1 else ''})",
        help=f"a source is read, never run; select {loads}'{first}+' to run what depends on it",
    )
