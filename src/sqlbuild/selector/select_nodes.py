"""The phase: what a selection means on a graph."""

from __future__ import annotations

from collections.abc import Iterable

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import PYTHON_KINDS, NodeId
from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selected, Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.grammar import Term, parse
from sqlbuild.selector.methods import NodeFinder
from sqlbuild.selector.required_graph import required_graph


def select_nodes(graph: Graph, past: Past, selection: Selection) -> Selected:
    """The nodes to build: what is selected and every upstream of it that the target lacks.

    Raises SelectionError for a selector that names nothing, for a missing upstream that may not be added, and for an
    empty selection unless `allow_empty`.
    """
    chosen, excluded = _chosen_and_excluded(graph, past, selection)
    if not chosen and not selection.allow_empty:
        raise _empty(graph, past, selection)
    required = required_graph(graph, past, chosen, excluded=excluded, only=selection.only)
    return Selected(nodes=frozenset(chosen | required), required=required, allow_empty=selection.allow_empty)


def select_only(graph: Graph, past: Past, selection: Selection) -> frozenset[NodeId]:
    """The selected nodes alone, possibly none. Raises SelectionError for a selector that names nothing."""
    chosen, _ = _chosen_and_excluded(graph, past, selection)
    return frozenset(chosen)


def _chosen_and_excluded(graph: Graph, past: Past, selection: Selection) -> tuple[set[NodeId], set[NodeId]]:
    finder = NodeFinder(graph, past)
    chosen = _union(graph, finder, selection.select) if selection.select else set(graph.nodes)
    excluded = _union(graph, finder, selection.exclude)
    if selection.no_python:
        excluded.update(node.id for node in graph.nodes.values() if node.kind in PYTHON_KINDS)
    chosen -= excluded
    return chosen, excluded


def _union(graph: Graph, finder: NodeFinder, texts: Iterable[str]) -> set[NodeId]:
    found: set[NodeId] = set()
    for text in texts:
        terms = parse(text).terms
        common = _term(graph, finder, terms[0])
        for term in terms[1:]:
            common &= _term(graph, finder, term)
        found |= common
    return found


def _term(graph: Graph, finder: NodeFinder, term: Term) -> set[NodeId]:
    first = last = named = finder.find(term.start)
    if term.end is not None:
        last = finder.find(term.end)
        named = (first | graph.descendants(first)) & (last | graph.ancestors(last))
        if first and last and not named:
            raise _no_path(term.start.text, term.end.text, backwards=not graph.ancestors(first).isdisjoint(last))
    result = set(named)
    if term.up != 0:
        result |= graph.ancestors(first, term.up)
    if term.down != 0:
        result |= graph.descendants(last, term.down)
    return result


def _no_path(start: str, end: str, *, backwards: bool) -> SelectionError:
    help = (
        f"the edges run the other way: write '{end}~{start}'" if backwards else "'sqb dag' shows what depends on what"
    )
    return SelectionError(f"no path leads from {start!r} to {end!r}", help=help)


def _empty(graph: Graph, past: Past, selection: Selection) -> SelectionError:
    help = "--allow-empty makes this no error"
    if not graph.nodes:
        return SelectionError(
            "the project has nothing to run yet", help="add a model in models/ or an asset in assets/"
        )
    named = _union(graph, NodeFinder(graph, past), selection.select) if selection.select else set(graph.nodes)
    if not named:
        texts = " or ".join(repr(text) for text in selection.select)
        return SelectionError(f"nothing is selected: no node matches {texts}", help=help)
    given = (("--exclude", selection.exclude), ("--no-python", selection.no_python))
    options = [option for option, value in given if value]
    leave = "leaves" if len(options) == 1 else "leave"
    return SelectionError(f"nothing is selected: {' and '.join(options)} {leave} no node", help=help)
