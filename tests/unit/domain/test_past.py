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
