"""What a console says of unit tests."""

from __future__ import annotations

import pytest

from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.results import NodeResult, Status
from sqlbuild.reporting.unit_tests import differences_painted, models_run


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ('{"checks": [], "real_models": ["a", "b"]}', "2 real models"),
        ('{"checks": [], "real_models": ["a"]}', "1 real model"),
        ('{"checks": [], "real_models": []}', ""),
        (None, ""),
    ],
)
def test_how_many_models_were_run_is_told(payload, text):
    test = NodeId("test:t")
    result = NodeResult(
        run_id="r", node_id=test, kind=NodeKind.TEST, name="t", status=Status.SUCCEEDED, payload=payload
    )
    assert models_run(result) == text


def test_colour_is_added_to_lines_that_say_the_same_without_it():
    lines = [
        "t.sql:1: NotAsExpected: m: 1 row differs",
        "  - expected  + got",
        "     id",
        "  -  1",
        "  +  2",
        "     ^",
        "",
    ]
    painted = differences_painted(lines, lambda text, style: f"<{style}>{text}")
    assert painted == [*lines[:3], "<bad>  -  1", "<good>  +  2", "<notice>     ^", ""]
