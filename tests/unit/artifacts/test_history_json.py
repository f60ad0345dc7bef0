from __future__ import annotations

import json

import pytest

from sqlbuild.artifacts.history_json import node_history_document, runs_document
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.past_runs import Ending, PastRun
from sqlbuild.domain.results import ErrorFacts, NodeResult, SkipMode, Status

EXPORTS = {"files": [{"path": "a.csv", "rows": 3, "bytes": 9, "sha256": "f00"}], "more_files": 2, "cursors": {"a": "7"}}


@pytest.fixture
def graph(make_graph):
    return make_graph({"asset:a": []})


def result(status, **facts):
    return NodeResult(run_id="r1", node_id="asset:a", kind=NodeKind.ASSET, name="a", status=status, **facts)


def test_every_way_in_which_a_run_can_end_is_as_its_schema_says(validate):
    whole = PastRun(
        run_id="r1",
        ending=Ending.STOPPED,
        started_at=1_800_000_000.25,
        finished_at=1_800_000_001.0,
        seconds=0.75,
        exit_code=130,
        stopped_by="SIGINT",
        counts={Status.SUCCEEDED: 2, Status.NOT_STARTED: 1},
        planned=3,
        resumed=1,
        command="sqb build",
        can_be_resumed=True,
    )
    runs = [whole, *(PastRun(run_id="r", ending=ending) for ending in Ending)]
    document = json.loads(json.dumps(runs_document("dev", runs, from_warehouse=True)))
    validate("history", document)
    assert document["runs"][0]["started_at"] == "2027-01-15T08:00:00.250000+00:00"
    assert document["runs"][0]["counts"] == {"succeeded": 2, "not_started": 1}


@pytest.mark.parametrize("at_work", [None, ("r2", 3, 1_800_000_000.0)])
def test_the_results_of_a_node_are_as_their_schema_says(validate, graph, at_work):
    failed = result(Status.FAILED, attempt=2, error=ErrorFacts(type="OSError", message="gone"))
    skipped = result(Status.SKIPPED, attempt=1, skip_reason="no data", skip_mode=SkipMode.HARD)
    exported = result(Status.SUCCEEDED, attempt=1, payload="[1]", exports=json.dumps(EXPORTS), finished_at=1.5)
    results = [(exported, "never built"), (failed, ""), (skipped, "")]
    document = node_history_document("dev", "asset:a", results, graph, at_work=at_work, from_warehouse=False)
    document = json.loads(json.dumps(document))
    validate("history", document)
    assert document["results"][0]["exports"] == EXPORTS
    assert [found["why"] for found in document["results"]] == ["never built", "", ""]
    assert (document["at_work"] is None) == (at_work is None)
