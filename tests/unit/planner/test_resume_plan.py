from __future__ import annotations

import pytest

from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Reason
from sqlbuild.domain.results import Status
from sqlbuild.planner.resume_plan import resume_plan

DONE = Status.SUCCEEDED


@pytest.fixture
def pipeline(make_graph):
    return make_graph(
        {
            "source:raw": [],
            "model:stg": ["source:raw"],
            "model:fact": ["model:stg"],
            "task:notify": [],
            "asset:export": ["model:fact"],
        }
    )


def _why(graph, ended, changed=(), missing=(), later=()):
    """`later`: nodes that began after all the others."""
    planned = {
        node: "another" if node in changed else found.fingerprint.total
        for node, found in graph.nodes.items()
        if node != "source:raw"
    }
    there = frozenset(
        found.relation for node, found in graph.nodes.items() if found.relation is not None and node not in missing
    )
    turns = {node: turn for turn, node in enumerate([*(node for node in planned if node not in later), *later])}
    plan = resume_plan(
        graph, Past(relations=there), target="dev", planned=planned, ended=ended, began_with=planned, turns=turns
    )
    assert all(step.reason is Reason.RESUMED for step in plan.steps.values())
    return {node: step.why for node, step in plan.steps.items()}, plan


def test_what_succeeded_is_kept_and_the_rest_runs_again(pipeline):
    why, plan = _why(pipeline, {"model:stg": DONE, "task:notify": DONE, "model:fact": Status.FAILED})
    assert why == {"model:fact": "failed", "asset:export": "did not start"}
    assert plan.kept == 2
    assert plan.steps["asset:export"].upstream == ("model:fact",)


@pytest.mark.parametrize("status", [status for status in Status if status not in (DONE, Status.WARNED)])
def test_everything_but_a_success_runs_again(pipeline, status):
    why, _ = _why(pipeline, dict.fromkeys(pipeline.nodes, DONE) | {"task:notify": status})
    assert set(why) == {"task:notify"}


def test_a_warned_check_is_a_success(make_graph):
    why, plan = _why(make_graph({"task:a": [], "check:c": ["task:a"]}), {"task:a": DONE, "check:c": Status.WARNED})
    assert (why, plan.kept) == ({}, 2)


def test_what_depends_on_something_that_runs_again_does_too(pipeline):
    why, _ = _why(pipeline, dict.fromkeys(pipeline.nodes, DONE) | {"model:stg": Status.UNKNOWN})
    assert why == {
        "model:stg": "began and was not seen to end",
        "model:fact": "depends on stg, which runs again",
        "asset:export": "depends on fact, which runs again",
    }


def test_changed_code_runs_again_with_what_depends_on_it(pipeline):
    why, _ = _why(pipeline, dict.fromkeys(pipeline.nodes, DONE), changed={"model:fact"})
    assert why == {"model:fact": "changed since it succeeded", "asset:export": "depends on fact, which runs again"}


def test_a_model_whose_relation_was_dropped_is_built_again(pipeline):
    why, _ = _why(pipeline, dict.fromkeys(pipeline.nodes, DONE), missing={"model:fact"})
    assert why == {
        "model:fact": "its relation is missing now",
        "asset:export": "depends on fact, which runs again",
    }


def test_what_has_not_run_since_something_above_it_did_runs_now(pipeline):
    """The run was gone on with, had `stg` again, and was killed before the others."""
    why, plan = _why(pipeline, dict.fromkeys(pipeline.nodes, DONE), later=["model:stg"])
    assert why == {
        "model:fact": "depends on stg, which ran again since",
        "asset:export": "depends on fact, which runs again",
    }
    assert plan.kept == 2


def test_a_node_that_is_gone_is_left_out_and_told(pipeline):
    planned = {"task:notify": pipeline.nodes["task:notify"].fingerprint.total, "task:gone": "x"}
    plan = resume_plan(pipeline, Past(), target="dev", planned=planned, ended={}, began_with={}, turns={})
    assert list(plan.steps) == ["task:notify"]
    assert plan.warnings == ("gone was part of the run and is not in the project any more",)


def test_a_node_that_is_new_is_no_part_of_the_run(pipeline):
    plan = resume_plan(pipeline, Past(), target="dev", planned={}, ended={}, began_with={}, turns={})
    assert (dict(plan.steps), plan.kept) == ({}, 0)
