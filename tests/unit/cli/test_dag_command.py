from __future__ import annotations

from sqlbuild.cli.dag_command import _longest_chain


def test_the_longest_chain_counts_nodes(make_graph):
    graph = make_graph({"task:a": [], "task:b": ["task:a"], "task:c": ["task:b"], "task:d": ["task:a"]})
    assert _longest_chain(graph.nodes) == 3
    assert _longest_chain({}) == 0


def test_a_chain_of_twenty_thousand_nodes_is_no_problem(make_graph):
    ids = [f"task:n{number}" for number in range(20_000)]
    graph = make_graph({id: ids[index - 1 : index] if index else [] for index, id in enumerate(ids)})
    assert _longest_chain(graph.nodes) == 20_000
