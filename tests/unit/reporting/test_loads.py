from __future__ import annotations

import json

import pytest

from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.results import NodeResult, Status
from sqlbuild.reporting.loads import loaded_text


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"rows": 12_345, "write_strategy": "append"}, "12,345 rows"),
        ({"rows": 1, "write_strategy": "append", "added_columns": ["a", "b"]}, "1 row, new columns: a, b"),
        (
            {"rows": 0, "write_strategy": "merge", "widened_columns": ["n: INTEGER to BIGINT"]},
            "0 rows, wider columns: n: INTEGER to BIGINT",
        ),
        ({"rows": 5}, ""),
        (["rows"], ""),
        (None, ""),
    ],
)
def test_a_finished_load_tells_its_rows_and_what_became_of_its_columns(metadata, text):
    result = NodeResult(
        run_id="r1",
        node_id=NodeId("loader:a"),
        kind=NodeKind.LOADER,
        name="a",
        status=Status.SUCCEEDED,
        metadata=None if metadata is None else json.dumps(metadata),
    )
    assert loaded_text(result) == text
