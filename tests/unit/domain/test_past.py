from __future__ import annotations

import pytest

from sqlbuild.domain.ids import NodeKind, Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import NodeResult, RunResult, Status

SUCCEEDED = PastNode(last_status=Status.FAILED, last_run_id="R2", last_success_run_id="R1")
FAILED = PastNode(last_status=Status.FAILED, last_run_id="R2")


@pytest.mark.parametrize(
    ("id", "past", "lacks"),
    [
        ("source:raw", Past(), False),
        ("model:x", Past(), True),
        ("model:x", Past(nodes={"model:x": SUCCEEDED}), True),
        ("model:x", Past(relations=frozenset({Relation("", "main", "x")})), False),
        ("model:x", Past(relations=frozenset({Relation("", "other", "x")})), True),
        ("asset:x", Past(), True),
        ("asset:x", Past(nodes={"asset:x": FAILED}), True),
        ("asset:x", Past(nodes={"asset:x": SUCCEEDED}), False),
    ],
)
def test_a_target_lacks_what_a_reader_would_not_find(make_node, id, past, lacks):
    assert past.lacks(make_node(id)) is lacks


def test_what_a_function_reads_is_newer_for_what_calls_it_and_the_function_itself_never(make_graph):
    graph = make_graph(
        {
            "model:fact": [],
            "function:inner": ["model:fact"],
            "function:f": ["function:inner"],
            "model:mart": ["function:f"],
        }
    )

    def newer(**at: float) -> str | None:
        nodes = {
            f"{'model' if name in ('fact', 'mart') else 'function'}:{name}": PastNode(
                last_status=Status.SUCCEEDED, last_run_id="R", last_success_run_id=f"R{when}", last_success_at=when
            )
            for name, when in at.items()
        }
        return Past(nodes=nodes).newer_upstream(graph.nodes["model:mart"], graph)

    assert newer(fact=1, inner=5, f=6, mart=3) is None
    assert newer(fact=4, inner=1, f=1, mart=3) == "model:fact"


def test_the_past_behind_a_run_has_what_the_run_says_of_a_node_and_else_what_was_known(make_graph):
    graph = make_graph({"task:kept": [], "task:broken": [], "model:new": [], "task:gone": []})
    known = PastNode(
        last_status=Status.SUCCEEDED,
        last_run_id="R1",
        last_success_run_id="R1",
        last_success_at=1.0,
        typical_seconds=9.0,
    )
    past = Past(nodes={"task:kept": known, "task:broken": known, "task:gone": known}, last_run_id="R1")
    statuses = {"model:new": Status.SUCCEEDED, "task:kept": Status.SUCCEEDED, "task:broken": Status.FAILED}
    results = {
        id: NodeResult("R2", id, NodeKind.TASK, "x", status, 1, finished_at=2.0, duration=3.0)
        for id, status in statuses.items()
    }
    run = RunResult(run_id="R2", target="dev", started_at=0.0, finished_at=2.0, results=results, exit_code=1)
    after = past.after(run, graph)
    assert after.last_run() == {id: statuses[id] for id in after.nodes if id != "task:gone"}
    assert list(after.nodes) == ["task:kept", "task:broken", "task:gone", "model:new"]
    assert len(after.nodes) == 4
    assert ("task:gone" in after.nodes, "task:other" in after.nodes) == (True, False)
    assert after.nodes["task:gone"] is known
    assert after.nodes["task:broken"] == known._replace(last_status=Status.FAILED, last_run_id="R2")
    assert [after.nodes[id].typical_seconds for id in ("task:kept", "model:new")] == [9.0, 3.0]
    assert after.relations == {Relation("", "main", "new")}
