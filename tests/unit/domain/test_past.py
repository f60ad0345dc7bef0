from __future__ import annotations

import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import Status

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
