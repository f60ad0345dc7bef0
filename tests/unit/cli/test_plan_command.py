from __future__ import annotations

import json

import pytest

from sqlbuild.cli.plan_command import plan_document, plan_lines
from sqlbuild.domain.plans import Plan, Reason, Step


@pytest.fixture
def make_plan(make_graph):
    """A plan of a chain of tasks; the last one was selected, the others are required."""

    def make(length: int = 3, **facts: object) -> Plan:
        ids = [f"task:t{number}" for number in range(length)]
        graph = make_graph({id: ids[index - 1 : index] if index else [] for index, id in enumerate(ids)})
        steps = {
            id: Step(
                node=graph.nodes[id],
                upstream=graph.nodes[id].depends_on,
                reason=Reason.FIRST_RUN,
                why="required: never built" if id != ids[-1] else "",
                required=id != ids[-1],
                typical_seconds=1.5 if id == ids[-1] else None,
                priority=float(length - index),
            )
            for index, id in enumerate(ids)
        }
        return Plan(target="dev", graph=graph, steps=steps, **facts)

    return make


def test_a_plan_lists_nodes_reasons_marks_and_the_estimate(make_plan):
    plan = make_plan(warnings=("uses the result of run r0",), critical_path=("task:t0", "task:t2"), estimated_seconds=3)
    assert plan_lines(plan) == [
        "kind  name  why                    usually",
        "task  t0    required: never built",
        "task  t1    required: never built",
        "task  t2    first run               1.50 s",
        "",
        "warning: uses the result of run r0",
        "3 nodes would run on target dev, about 3.00 s along t0 > t2 (1 of them has no history: a guess)",
    ]


def test_an_estimate_from_history_is_no_guess(make_plan):
    assert plan_lines(make_plan(critical_path=("task:t2",), estimated_seconds=1.5))[-1].endswith(
        "about 1.50 s along t2"
    )


def test_without_history_the_estimate_is_not_made_up(make_plan):
    assert plan_lines(make_plan(1))[-1] == (
        "1 node would run on target dev; how long is not known before the first run"
    )


def test_quiet_gives_warnings_and_the_outcome(make_plan):
    lines = plan_lines(make_plan(warnings=("odd",)), quiet=True)
    assert lines == [
        "warning: odd",
        "3 nodes would run on target dev; how long is not known before the first run",
    ]


def test_a_long_path_shows_both_ends(make_plan):
    plan = make_plan(20_000, critical_path=tuple(f"task:t{number}" for number in range(20_000)), estimated_seconds=1.0)
    assert " along t0 > t1 > t2 > t3 > (19,992 more) > t19996 > t19997 > t19998 > t19999 (" in plan_lines(plan)[-1]


def test_the_document_has_every_fact(make_plan):
    document = json.loads(json.dumps(plan_document(make_plan(2, critical_path=("task:t0",), warnings=("odd",)))))
    assert document == {
        "schema_version": 1,
        "target": "dev",
        "nodes": [
            {
                "id": "task:t0",
                "kind": "task",
                "name": "t0",
                "upstream": [],
                "reason": "first run",
                "why": "required: never built",
                "required": True,
                "typical_seconds": None,
                "priority": 2.0,
            },
            {
                "id": "task:t1",
                "kind": "task",
                "name": "t1",
                "upstream": ["task:t0"],
                "reason": "first run",
                "why": "",
                "required": False,
                "typical_seconds": 1.5,
                "priority": 1.0,
            },
        ],
        "warnings": ["odd"],
        "news": [],
        "critical_path": ["task:t0"],
        "estimated_seconds": None,
    }
