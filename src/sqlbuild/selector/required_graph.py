"""Upstreams that a selection needs and the target lacks."""

from __future__ import annotations

import shlex
from collections.abc import Set as AbstractSet

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import PYTHON_KINDS, NodeId, NodeKind, name_of
from sqlbuild.domain.past import Past
from sqlbuild.errors import SelectionError

_MOST_NAMED = 5


def required_graph(
    graph: Graph,
    past: Past,
    chosen: AbstractSet[NodeId],
    *,
    excluded: AbstractSet[NodeId] = frozenset(),
    only: bool = False,
    alone: bool = False,
) -> frozenset[NodeId]:
    """Every upstream of `chosen` that the target lacks, and theirs; what exists is used as it stands, but functions
    are made anew.

    `alone`: `chosen` are the checks or audits of a command that builds nothing.

    Raises SelectionError for a missing upstream that is in `excluded`, and with `only` for any missing one.
    """
    if len(chosen) == len(graph.nodes):
        return frozenset()
    required: set[NodeId] = set()
    refused: list[tuple[NodeId, NodeId]] = []
    missing: dict[NodeId, bool] = {}
    pending = [node for node in graph.nodes if node in chosen]
    while pending:
        following: list[NodeId] = []
        for node in pending:
            if graph.nodes[node].kind is NodeKind.SOURCE and not past.lacks(graph.nodes[node]):
                # Selected together with what reads it, and there: its loader is nothing that they need.
                continue
            for upstream in graph.nodes[node].depends_on:
                if upstream in chosen or upstream in required:
                    continue
                if upstream not in missing:
                    missing[upstream] = past.lacks(graph.nodes[upstream])
                if not missing[upstream]:
                    # What calls a function goes with the function as it is written now; to make it costs nothing.
                    if graph.nodes[upstream].kind is NodeKind.FUNCTION and not only and upstream not in excluded:
                        required.add(upstream)
                        following.append(upstream)
                    continue
                if only or upstream in excluded:
                    refused.append((upstream, node))
                else:
                    required.add(upstream)
                    following.append(upstream)
        pending = following
    if refused:
        raise _missing(graph, refused, excluded, alone=alone)
    return frozenset(required)


def _missing(
    graph: Graph, refused: list[tuple[NodeId, NodeId]], excluded: AbstractSet[NodeId], *, alone: bool
) -> SelectionError:
    sentences: list[str] = []
    for upstream, node in refused[:_MOST_NAMED]:
        lacks = "never succeeded in" if graph.nodes[upstream].kind in PYTHON_KINDS else "is not in"
        ending = " and is excluded" if upstream in excluded else ""
        sentences.append(f"{node} needs {upstream}, which {lacks} this target{ending}")
    if len(refused) > _MOST_NAMED:
        sentences.append(f"and {len(refused) - _MOST_NAMED} more")
    upstream, node = refused[0]
    if upstream in excluded:
        help = f"run it first ('sqb build {name_of(upstream)}') or do not exclude it"
    elif alone:
        help = f"build it first ('sqb build {name_of(upstream)}'), or leave the {graph.nodes[node].kind} out: --exclude {shlex.quote(name_of(node))}"
    else:
        help = f"select '+{name_of(node)}' to run all its upstreams, or leave out --only"
    return SelectionError("; ".join(sentences), help=help)
