"""Unit tests in a selection."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.nodes import UnitTest
from sqlbuild.domain.selection import Selected, Selection
from sqlbuild.errors import SelectionError

_MOST_NAMED = 10


def tests_of_graph(graph: Graph) -> set[NodeId]:
    return {node.id for node in graph.nodes.values() if node.kind is NodeKind.TEST}


def tests_of_models(graph: Graph) -> set[NodeId]:
    """Those for which a model waits; what tests a macro or function alone is not among them."""
    return {node.id for node in graph.nodes.values() if node.tests}


def tests_of(graph: Graph, nodes: AbstractSet[NodeId]) -> set[NodeId]:
    """The tests of models among `nodes`."""
    return {test for node in nodes for test in graph.nodes[node].tested_by}


def select_tests(
    graph: Graph, selection: Selection, chosen: AbstractSet[NodeId], excluded: AbstractSet[NodeId]
) -> Selected:
    """The tests among `chosen` and those of the models among it, less those that are excluded so. Raises SelectionError."""
    every = tests_of_graph(graph)
    tests = ((every & chosen) | tests_of(graph, chosen)) - excluded - tests_of(graph, excluded)
    if not tests and not selection.allow_empty:
        of = "of what is selected" if every and (selection.select or selection.exclude) else "in this project"
        help = "'sqb list test:*' shows every test" if every else "write one in a file under tests/unit/"
        raise SelectionError(f"there is no unit test {of}", help=f"{help}; --allow-empty makes this no error")
    if selection.case is not None:
        tests = _of_case(graph, tests, selection.case)
    return Selected(nodes=frozenset(tests), required=frozenset(), allow_empty=selection.allow_empty)


def _of_case(graph: Graph, tests: AbstractSet[NodeId], case: str) -> set[NodeId]:
    cases: dict[NodeId, str] = {}
    for test in tests:
        declared = graph.nodes[test].declaration
        if isinstance(declared, UnitTest) and declared.case is not None:
            cases[test] = declared.case
    found = {test for test, name in cases.items() if name == case}
    if not found:
        names = sorted(set(cases.values()))
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        help = f"there are {', '.join(names[:_MOST_NAMED])}{more}" if names else "none of these tests has cases"
        raise SelectionError(f"no test of this selection has a case {case!r}", help=help)
    return found
