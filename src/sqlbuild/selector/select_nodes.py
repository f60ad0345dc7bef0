"""The phase: what a selection means on a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.past import Past, behind_sources
from sqlbuild.domain.selection import Selected, Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.audits import attached_to, audits_of, audits_of_graph, singular_audits_of
from sqlbuild.selector.checks import checks_of, checks_of_graph, missing_for
from sqlbuild.selector.grammar import Term, parse
from sqlbuild.selector.loaders import loaders_of, loaders_of_graph, no_loader, python_that_reads
from sqlbuild.selector.methods import NodeFinder
from sqlbuild.selector.required_graph import required_graph
from sqlbuild.selector.unit_tests import select_tests, tests_of, tests_of_graph, tests_of_models

_LOOKING = frozenset({NodeKind.AUDIT, NodeKind.CHECK})


def select_nodes(graph: Graph, past: Past, selection: Selection) -> Selected:
    """The nodes to build: what is selected, every upstream of it that the target lacks, and the audits and checks of all that.

    Raises SelectionError for a selector that names nothing, for a missing upstream that may not be added, and for an
    empty selection unless `allow_empty`.
    """
    chosen, excluded = _chosen_and_excluded(graph, past, selection)
    if selection.checks_alone:
        return _checks_alone(graph, past, selection, chosen, excluded)
    if selection.loaders_alone:
        return _loaders_alone(graph, past, selection, chosen, excluded)
    if selection.seeds_alone:
        return _seeds_alone(graph, selection, chosen)
    if selection.audits_alone:
        return _audits_alone(graph, past, selection, chosen, excluded)
    if selection.tests_alone:
        return select_tests(graph, selection, chosen, excluded)
    if excluded and not selection.select:
        # Everything was meant: an audit or check whose inputs are all excluded is not, and no test of what is excluded.
        chosen -= checks_of_graph(graph) | audits_of_graph(graph) | tests_of_models(graph)
    chosen -= attached_to(graph, excluded)
    if not chosen and not selection.allow_empty:
        raise _empty(graph, past, selection)
    if selection.changed:
        chosen = _changed_among(graph, past, chosen)
        if not chosen:
            return Selected(nodes=frozenset(), required=frozenset(), allow_empty=True, changed=True)
    nodes, required = _with_audits(graph, past, selection, chosen, excluded)
    along: set[NodeId] = set()
    if len(nodes) < len(graph.nodes):
        along = (checks_of(graph, nodes) | singular_audits_of(graph, nodes)) - nodes - excluded
    missing = missing_for(graph, past, along, nodes)
    along |= tests_of(graph, nodes) - nodes - excluded
    return Selected(
        nodes=frozenset(nodes | (along - missing.keys())),
        required=required,
        allow_empty=selection.allow_empty,
        changed=selection.changed,
        warnings=_left_out(missing),
    )


def _left_out(missing: Mapping[NodeId, str]) -> tuple[str, ...]:
    return tuple(f"{node} is left out: this target has no {what}" for node, what in sorted(missing.items()))


def _with_audits(
    graph: Graph, past: Past, selection: Selection, chosen: set[NodeId], excluded: set[NodeId]
) -> tuple[set[NodeId], frozenset[NodeId]]:
    """What is chosen with what that needs and the target lacks, and the audits of all that with what they need."""
    nodes = set(chosen)
    required: frozenset[NodeId] = frozenset()
    while True:
        required |= required_graph(graph, past, nodes, excluded=excluded, only=selection.only)
        nodes |= required
        along = audits_of(graph, nodes) - nodes - excluded if graph.audits and len(nodes) < len(graph.nodes) else set()
        if not along:
            return nodes, required
        nodes |= along


def _audits_alone(
    graph: Graph, past: Past, selection: Selection, chosen: set[NodeId], excluded: set[NodeId]
) -> Selected:
    every = audits_of_graph(graph)
    audits = (chosen & every) | attached_to(graph, chosen)
    along = singular_audits_of(graph, chosen) - audits - excluded
    # One that nobody has named may read something else that is not there.
    missing = missing_for(graph, past, along, frozenset())
    audits = (audits | (along - missing.keys())) - excluded - attached_to(graph, excluded)
    if not audits and not selection.allow_empty:
        of = "of what is selected" if every and (selection.select or selection.exclude) else "in this project"
        help = (
            "'sqb list audit:*' shows every audit"
            if every
            else "attach one to a model: columns (id (audits [not_null]))"
        )
        raise SelectionError(f"there is no audit {of}", help=f"{help}; --allow-empty makes this no error")
    required_graph(graph, past, audits, only=True, alone=True)
    return Selected(
        nodes=frozenset(audits),
        required=frozenset(),
        allow_empty=selection.allow_empty,
        warnings=_left_out(missing),
    )


def _changed_among(graph: Graph, past: Past, chosen: set[NodeId]) -> set[NodeId]:
    """What of `chosen` is not up to date, and what of it depends on that."""
    changed: set[NodeId] = set()
    for id, node in graph.nodes.items():
        if id not in chosen or node.kind is NodeKind.SOURCE:
            continue
        follows = any(near in changed for near in behind_sources(graph, node.depends_on))
        if follows or past.is_outdated(node) or past.newer_upstream(node, graph) is not None:
            changed.add(id)
    return changed


def _checks_alone(
    graph: Graph, past: Past, selection: Selection, chosen: set[NodeId], excluded: set[NodeId]
) -> Selected:
    every = checks_of_graph(graph)
    checks = ((chosen & every) | checks_of(graph, chosen)) - excluded - checks_of(graph, excluded)
    if not checks and not selection.allow_empty:
        of = "of what is selected" if every and (selection.select or selection.exclude) else "in this project"
        help = "'sqb list check:*' shows every check" if every else "declare one with @check in a file under checks/"
        raise SelectionError(f"there is no check {of}", help=f"{help}; --allow-empty makes this no error")
    required_graph(graph, past, checks, only=True, alone=True)
    return Selected(nodes=frozenset(checks), required=frozenset(), allow_empty=selection.allow_empty)


def _loaders_alone(
    graph: Graph, past: Past, selection: Selection, chosen: set[NodeId], excluded: set[NodeId]
) -> Selected:
    loaders = loaders_of(graph, chosen) - excluded
    if not loaders and not selection.allow_empty:
        raise no_loader(graph, is_narrowed=bool(selection.select or selection.exclude))
    required = required_graph(graph, past, loaders, excluded=excluded)
    return Selected(nodes=frozenset(loaders | required), required=required, allow_empty=selection.allow_empty)


def _seeds_alone(graph: Graph, selection: Selection, chosen: set[NodeId]) -> Selected:
    every = {node.id for node in graph.nodes.values() if node.kind is NodeKind.SEED}
    if not chosen & every and not selection.allow_empty:
        of = "in what is selected" if every and (selection.select or selection.exclude) else "in this project"
        help = "'sqb list seed:*' shows every seed" if every else "put a CSV file and its YAML file into seeds/"
        raise SelectionError(f"there is no seed {of}", help=f"{help}; --allow-empty makes this no error")
    return Selected(nodes=frozenset(chosen & every), required=frozenset(), allow_empty=selection.allow_empty)


def select_only(graph: Graph, past: Past, selection: Selection) -> frozenset[NodeId]:
    """The selected nodes alone, possibly none. Raises SelectionError for a selector that names nothing."""
    chosen, _ = _chosen_and_excluded(graph, past, selection)
    return frozenset(chosen)


def _chosen_and_excluded(graph: Graph, past: Past, selection: Selection) -> tuple[set[NodeId], set[NodeId]]:
    finder = NodeFinder(graph, past)
    chosen = _union(graph, finder, selection.select) if selection.select else set(graph.nodes)
    excluded = _union(graph, finder, selection.exclude, with_checks=True)
    if selection.no_checks:
        excluded |= checks_of_graph(graph) | audits_of_graph(graph)
    if selection.no_tests:
        excluded |= tests_of_graph(graph)
    if selection.no_python:
        # A loader that comes in because the target lacks it may still bring what it needs.
        excluded |= python_that_reads(graph, loaders_of_graph(graph))
        chosen -= python_that_reads(graph, chosen)
    if selection.load is False:
        excluded |= loaders_of_graph(graph)
    chosen -= excluded
    return chosen, excluded


def _union(graph: Graph, finder: NodeFinder, texts: Iterable[str], *, with_checks: bool = False) -> set[NodeId]:
    """What one of `texts` selects; audits and checks that none of them names but `x+` reaches only `with_checks`."""
    found: set[NodeId] = set()
    for text in texts:
        terms = [_term(graph, finder, term) for term in parse(text).terms]
        common = set.intersection(*(reached for reached, _ in terms))
        if not with_checks:
            named = set().union(*(names for _, names in terms))
            common = {node for node in common if node in named or graph.nodes[node].kind not in _LOOKING}
        found |= common
    return found


def _term(graph: Graph, finder: NodeFinder, term: Term) -> tuple[set[NodeId], set[NodeId]]:
    """What a term reaches, and what it names before it goes up and down from there."""
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
    return result, named


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
    given = (
        ("--exclude", selection.exclude),
        ("--no-python", selection.no_python),
        ("--no-tests", selection.no_tests and not named.isdisjoint(tests_of_graph(graph))),
        ("--no-audits", selection.no_checks and not named.isdisjoint(checks_of_graph(graph) | audits_of_graph(graph))),
    )
    options = [option for option, value in given if value]
    leave = "leaves" if len(options) == 1 else "leave"
    return SelectionError(f"nothing is selected: {' and '.join(options)} {leave} no node", help=help)
