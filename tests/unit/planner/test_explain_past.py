from __future__ import annotations

import pytest

from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.results import NodeResult, Status
from sqlbuild.planner.explain_past import explain_past

OLD, NEW = "t1:c1:s1:u1", "t2:c2:s1:u1"


@pytest.fixture
def node(make_node):
    return make_node("task:a")


def result(run_id, status=Status.SUCCEEDED, fingerprint=OLD, attempt=1):
    return NodeResult(
        run_id=run_id,
        node_id=NodeId("task:a"),
        kind=NodeKind.TASK,
        name="a",
        status=status,
        attempt=attempt,
        fingerprint=fingerprint,
    )


def test_each_run_is_explained_by_those_before_it(node):
    results = [
        result("r5", fingerprint=NEW),
        result("r4", Status.BLOCKED, NEW, attempt=0),
        result("r3", Status.FAILED, NEW),
        result("r2"),
        result("r1"),
    ]
    assert explain_past(node, results, complete=True) == [
        "code changed since run r2",
        "",
        "code changed since run r2",
        "selected, nothing changed since run r1",
        "never built",
    ]


def test_a_failure_is_told_where_nothing_else_changed(node):
    results = [result("r3"), result("r2", Status.TIMED_OUT), result("r1")]
    assert explain_past(node, results, complete=True)[0] == "timed out in run r2"


def test_without_the_beginning_nothing_is_said_before_the_first_success(node):
    results = [result("r3"), result("r2"), result("r1", Status.FAILED)]
    assert explain_past(node, results, complete=False) == ["selected, nothing changed since run r2", "", ""]


def test_a_result_without_a_whole_fingerprint_is_not_explained(node):
    assert explain_past(node, [result("r1", Status.UNKNOWN, "")], complete=True) == [""]
