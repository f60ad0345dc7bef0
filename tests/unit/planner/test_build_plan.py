from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.plans import Reason
from sqlbuild.domain.results import Status
from sqlbuild.domain.selection import Selected
from sqlbuild.errors import SelectionError
from sqlbuild.planner.build_plan import build_plan


def _plan(graph, nodes=None, past=None, required=(), allow_empty=False):
    chosen = frozenset(graph.nodes if nodes is None else nodes)
    selected = Selected(nodes=chosen, required=frozenset(required), allow_empty=allow_empty)
    return build_plan(graph, selected, past or Past(), target="dev")


def _took(seconds: float) -> PastNode:
    return PastNode(last_status=Status.SUCCEEDED, last_run_id="R1", last_success_run_id="R1", typical_seconds=seconds)


@pytest.fixture
def pipeline(make_graph):
    return make_graph(
        {
            "source:raw": [],
            "model:stg": ["source:raw"],
            "model:fact": ["model:stg"],
            "task:notify": ["model:fact"],
            "asset:export": ["model:fact", "source:raw", "task:notify"],
        }
    )


def test_steps_stand_in_topological_order_without_sources(pipeline):
    plan = _plan(pipeline)
    assert list(plan.steps) == ["model:stg", "model:fact", "task:notify", "asset:export"]
    assert plan.steps["model:stg"].upstream == ()
    assert plan.steps["asset:export"].upstream == ("model:fact", "task:notify")
    assert (plan.target, plan.graph) == ("dev", pipeline)


def test_what_fills_a_source_gates_what_reads_it(make_graph):
    graph = make_graph({"task:load": [], "source:raw": ["task:load"], "model:stg": ["source:raw", "task:load"]})
    assert _plan(graph).steps["model:stg"].upstream == ("task:load",)
    assert _plan(graph, {"task:load", "model:stg"}).steps["model:stg"].upstream == ("task:load",)
    assert _plan(graph, {"model:stg"}).steps["model:stg"].upstream == ()


def test_an_upstream_outside_the_run_is_no_gate_and_no_bridge(pipeline):
    plan = _plan(pipeline, {"model:stg", "asset:export"})
    assert plan.steps["asset:export"].upstream == ()


def test_a_step_carries_its_reason_and_says_if_it_was_required(pipeline):
    plan = _plan(pipeline, {"model:fact", "task:notify"}, required=["model:fact"])
    fact, notify = plan.steps["model:fact"], plan.steps["task:notify"]
    assert (fact.reason, fact.why, fact.required) == (Reason.FIRST_RUN, "required: never built", True)
    assert (notify.reason, notify.why, notify.required) == (Reason.FIRST_RUN, "never built", False)


def test_a_dropped_relation_is_the_reason(pipeline):
    others = frozenset({Relation("", "main", "_sqlbuild_node_results")})
    plan = _plan(pipeline, past=Past(nodes={"model:fact": _took(1)}, relations=others))
    assert plan.steps["model:fact"].reason is Reason.RELATION_MISSING
    assert plan.steps["model:fact"].why == "built in run R1, but main.fact is missing now"


def test_priority_is_the_longest_remaining_path(make_graph):
    graph = make_graph({"task:a": [], "task:b": ["task:a"], "task:c": ["task:a"], "task:d": ["task:b", "task:c"]})
    past = Past(nodes={"task:a": _took(2.0), "task:b": _took(10.0), "task:d": _took(0.0)})
    plan = _plan(graph, past=past)
    assert {id: step.priority for id, step in plan.steps.items()} == {
        "task:a": 12.0,
        "task:b": 10.0,
        "task:c": 1.0,
        "task:d": 0.0,
    }
    assert plan.steps["task:c"].typical_seconds is None
    assert plan.critical_path == ("task:a", "task:b", "task:d")
    assert plan.estimated_seconds == 12.0


def test_without_history_nothing_is_estimated_but_the_critical_path_is_known(pipeline):
    plan = _plan(pipeline)
    assert plan.estimated_seconds is None
    assert plan.critical_path == ("model:stg", "model:fact", "task:notify", "asset:export")


def test_of_equal_paths_the_first_is_critical(make_graph):
    graph = make_graph({"task:a": [], "task:b": [], "task:c": ["task:a", "task:b"], "task:d": ["task:b"]})
    assert _plan(graph).critical_path == ("task:a", "task:c")
    assert _plan(graph, {"task:b", "task:c", "task:d"}).critical_path == ("task:b", "task:c")


def test_using_an_old_result_is_warned_of_once_per_upstream(pipeline, make_fingerprint):
    old = PastNode(
        last_status=Status.SUCCEEDED,
        last_run_id="R7",
        last_success_run_id="R7",
        last_success_fingerprint=make_fingerprint(code="c9").stored(),
    )
    plan = _plan(pipeline, {"task:notify", "asset:export"}, Past(nodes={"model:fact": old}))
    assert plan.warnings == ("task:notify (and 1 more) uses the result of run R7 of model:fact, code changed since",)


def test_an_upstream_in_the_run_or_unchanged_is_not_warned_of(pipeline):
    good = PastNode(
        last_status=Status.SUCCEEDED,
        last_run_id="R7",
        last_success_run_id="R7",
        last_success_fingerprint=pipeline.nodes["model:fact"].fingerprint.stored(),
    )
    assert _plan(pipeline).warnings == ()
    assert _plan(pipeline, {"task:notify"}, Past(nodes={"model:fact": good})).warnings == ()


def test_only_sources_are_nothing_to_run(pipeline):
    with pytest.raises(SelectionError) as raised:
        _plan(pipeline, {"source:raw"})
    assert str(raised.value) == "nothing to run: only sources are selected (source:raw)"
    assert raised.value.help == "a source is read, never run; select 'source:raw+' to run what depends on it"


def test_a_selection_that_may_be_empty_gives_an_empty_plan(pipeline):
    plan = _plan(pipeline, {"source:raw"}, allow_empty=True)
    assert (plan.steps, plan.critical_path, plan.estimated_seconds) == ({}, (), None)
    assert _plan(pipeline, set()).steps == {}


def test_a_chain_of_20000_nodes_is_planned(make_graph):
    graph = make_graph({f"task:t{n}": [f"task:t{n - 1}"] if n else [] for n in range(20_000)})
    plan = _plan(graph)
    assert plan.steps["task:t0"].priority == 20_000.0
    assert len(plan.critical_path) == 20_000


@given(st.data())
def test_priorities_are_those_of_the_naive_longest_path(make_graph, data):
    count = data.draw(st.integers(1, 10))
    ids = [f"{data.draw(st.sampled_from(['task', 'source']))}:n{at}" for at in range(count)]
    edges = {
        id: data.draw(st.lists(st.sampled_from(ids[:at]), unique=True) if at else st.just([]))
        for at, id in enumerate(ids)
    }
    graph = make_graph(edges)
    seconds = data.draw(st.dictionaries(st.sampled_from(ids), st.integers(0, 9)))
    chosen = set(data.draw(st.lists(st.sampled_from(ids), unique=True)))
    plan = _plan(
        graph, chosen, Past(nodes={id: _took(float(value)) for id, value in seconds.items()}), allow_empty=True
    )

    def gates(id: str) -> set[str]:
        found = set()
        for near in edges[id]:
            found |= gates(near) if near.startswith("source") else {near}
        return found & set(plan.steps)

    def longest(id: str) -> float:
        after = [longest(other) for other in plan.steps if id in gates(other)]
        return seconds.get(id, 1.0) + max(after, default=0.0)

    assert list(plan.steps) == [id for id in graph.nodes if id in chosen and not id.startswith("source")]
    for id, step in plan.steps.items():
        assert set(step.upstream) == gates(id)
        assert step.priority == longest(id)
    assert sum(seconds.get(id, 1.0) for id in plan.critical_path) == max(map(longest, plan.steps), default=0.0)
    for near, node in zip(plan.critical_path, plan.critical_path[1:], strict=False):
        assert near in gates(node)
