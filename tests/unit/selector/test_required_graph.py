from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import Status
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.required_graph import required_graph
from sqlbuild.selector.select_nodes import select_nodes

SUCCEEDED = PastNode(last_status=Status.SUCCEEDED, last_run_id="R1", last_success_run_id="R1")
FAILED_SINCE = PastNode(last_status=Status.FAILED, last_run_id="R2", last_success_run_id="R1")
ONLY_FAILED = PastNode(last_status=Status.FAILED, last_run_id="R2")


@pytest.fixture
def pipeline(make_graph):
    return make_graph(
        {
            "source:raw": [],
            "model:stg": ["source:raw"],
            "model:fact": ["model:stg", "source:raw"],
            "task:prepare": [],
            "task:notify": ["task:prepare"],
            "asset:export": ["model:fact", "task:notify"],
        }
    )


def _required(graph, past, *select, **options):
    return select_nodes(graph, past, Selection(select=select, **options)).required


def test_everything_a_node_needs_is_required_in_an_empty_target(pipeline):
    assert _required(pipeline, Past(), "export") == {"model:stg", "model:fact", "task:prepare", "task:notify"}


def test_recursion_stops_at_what_exists(pipeline):
    past = Past(relations=frozenset({Relation("", "main", "fact")}), nodes={"task:notify": FAILED_SINCE})
    assert _required(pipeline, past, "export") == set()


def test_a_task_without_a_success_is_required_even_if_it_ran(pipeline):
    past = Past(relations=frozenset({Relation("", "main", "fact")}), nodes={"task:notify": ONLY_FAILED})
    assert _required(pipeline, past, "export") == {"task:notify", "task:prepare"}


def test_a_model_whose_relation_was_dropped_is_required_whatever_is_stored(pipeline):
    past = Past(nodes={"model:fact": SUCCEEDED, "task:notify": SUCCEEDED})
    assert _required(pipeline, past, "export") == {"model:fact", "model:stg"}


def test_names_of_relations_compare_without_case(make_graph, make_node):
    upper = make_node("model:fact", compiled={"relation": Relation("Dev", "Main", "FACT")})
    graph = make_graph(upper, make_node("asset:export", ["model:fact"]))
    assert _required(graph, Past(relations=frozenset({Relation("dev", "main", "fact")})), "export") == set()
    assert _required(graph, Past(relations=frozenset({Relation("", "main", "fact")})), "export") == {"model:fact"}


def test_sources_are_never_required(make_graph):
    graph = make_graph({"source:raw": [], "asset:export": ["source:raw"]})
    assert _required(graph, Past(), "export") == set()


def test_an_excluded_upstream_that_exists_is_read_as_it_stands(pipeline):
    past = Past(relations=frozenset({Relation("", "main", "fact")}), nodes={"task:notify": SUCCEEDED})
    assert _required(pipeline, past, "export", exclude=("fact",)) == set()


def test_an_excluded_upstream_that_is_missing_is_an_error(pipeline):
    with pytest.raises(SelectionError) as raised:
        _required(pipeline, Past(nodes={"task:notify": SUCCEEDED}), exclude=("stg",))
    assert str(raised.value) == "model:fact needs model:stg, which is not in this target and is excluded"
    assert raised.value.help == "run it first ('sqb build stg') or do not exclude it"


def test_only_adds_nothing_and_names_what_is_missing(pipeline):
    with pytest.raises(SelectionError) as raised:
        _required(pipeline, Past(), "export", only=True)
    assert str(raised.value) == (
        "asset:export needs model:fact, which is not in this target; "
        "asset:export needs task:notify, which never succeeded in this target"
    )
    assert raised.value.help == "select '+export' to run all its upstreams, or leave out --only"


def test_only_with_everything_there_is_no_error(pipeline):
    past = Past(relations=frozenset({Relation("", "main", "fact")}), nodes={"task:notify": SUCCEEDED})
    assert select_nodes(pipeline, past, Selection(select=("export",), only=True)).nodes == {"asset:export"}


def test_many_missing_upstreams_are_counted(make_graph):
    graph = make_graph({**{f"task:t{n}": [] for n in range(9)}, "asset:all": [f"task:t{n}" for n in range(9)]})
    with pytest.raises(SelectionError, match=r"t4, which never succeeded in this target; and 4 more$"):
        _required(graph, Past(), "all", only=True)


@given(st.data())
def test_the_required_graph_is_that_of_the_naive_recursion(make_graph, data):
    count = data.draw(st.integers(1, 12))
    ids = [f"{data.draw(st.sampled_from(['task', 'model']))}:n{index}" for index in range(count)]
    edges = {
        id: data.draw(st.lists(st.sampled_from(ids[:at]), unique=True) if at else st.just([]))
        for at, id in enumerate(ids)
    }
    graph = make_graph(edges)
    there = set(data.draw(st.lists(st.sampled_from(ids), unique=True)))
    chosen = set(data.draw(st.lists(st.sampled_from(ids), unique=True)))
    excluded = set(data.draw(st.lists(st.sampled_from(ids), unique=True))) - chosen
    past = Past(
        nodes={id: SUCCEEDED for id in there if id.startswith("task")},
        relations=frozenset(Relation("", "main", id.partition(":")[2]) for id in there if id.startswith("model")),
    )
    expected: set[str] = set()
    refused: set[str] = set()

    def visit(id: str) -> None:
        for upstream in edges[id]:
            if upstream in chosen or upstream in there:
                continue
            if upstream in excluded:
                refused.add(upstream)
            elif upstream not in expected:
                expected.add(upstream)
                visit(upstream)

    for id in chosen:
        visit(id)
    if refused:
        with pytest.raises(SelectionError):
            required_graph(graph, past, chosen, excluded=excluded)
    else:
        assert required_graph(graph, past, chosen, excluded=excluded) == expected


@pytest.fixture
def calling(make_graph):
    return make_graph({"model:fact": [], "function:f": ["model:fact"], "model:mart": ["function:f"]})


def test_a_function_goes_with_what_calls_it_and_what_it_reads_only_if_it_is_missing(calling):
    relations = frozenset(Relation("", "main", name) for name in ("fact", "mart"))
    past = Past(nodes={"function:f": SUCCEEDED}, relations=relations)
    assert _required(calling, past, "mart") == {"function:f"}
    assert _required(calling, past, "mart", only=True) == set()
    assert _required(calling, past, "mart", exclude=("f",)) == set()
    assert _required(calling, Past(), "mart") == {"function:f", "model:fact"}
