from __future__ import annotations

import json

import pytest

from sqlbuild.artifacts.run_results_json import run_results_document
from sqlbuild.artifacts.write_json import write_json
from sqlbuild.domain.ids import kind_of, name_of
from sqlbuild.domain.results import ErrorFacts, NodeResult, RunResult, SkipMode, Status

ERROR = ErrorFacts(
    type="ValueError", message="bad row", traceback="Traceback ...", path="assets/a.py", line=7, help="look at row 3"
)


def _result(id: str, status: Status, **values: object) -> NodeResult:
    common = {"run_id": "R1", "node_id": id, "kind": kind_of(id), "name": name_of(id), "status": status}
    return NodeResult(**{**common, **values})


@pytest.fixture
def graph(make_graph):
    return make_graph({"task:a": [], "asset:b": ["task:a"], "asset:c": ["asset:b"], "asset:d": ["task:a"]})


@pytest.fixture
def run(graph):
    results = (
        _result(
            "task:a",
            Status.SUCCEEDED,
            attempt=2,
            payload='{"rows":[1,2.5,null,"é"]}',
            metadata='"x"',
            retried=(ErrorFacts(type="OSError", message="away"),),
            started_at=1_800_000_000.25,
            finished_at=1_800_000_001.0,
            duration=0.5,
            waited=0.25,
            fingerprint="70:c0:50:00",
            warnings=("late",),
        ),
        _result(
            "asset:b", Status.FAILED, attempt=1, error=ERROR, started_at=1_800_000_001.0, finished_at=1_800_000_002.0
        ),
        _result("asset:c", Status.BLOCKED, because_of=("asset:b",)),
        _result(
            "asset:d", Status.SKIPPED, attempt=1, materialized=False, skip_reason="not yet", skip_mode=SkipMode.SOFT
        ),
    )
    return RunResult(
        run_id="R1",
        target="dev",
        started_at=1_800_000_000.0,
        finished_at=1_800_000_002.5,
        results={result.node_id: result for result in results},
        exit_code=1,
        critical_path=("task:a", "asset:b"),
        warnings=("old",),
    )


def test_the_document_fits_its_schema_and_survives_being_written(run, graph, validate, tmp_path):
    document = run_results_document(run, graph)
    validate("run_results", document)
    write_json(str(tmp_path / "run_results.json"), document)
    assert json.loads((tmp_path / "run_results.json").read_text("utf-8")) == document


def test_the_run_is_summed_up(run, graph):
    document = run_results_document(run, graph)
    assert document["counts"] == {"succeeded": 1, "failed": 1, "blocked": 1, "skipped": 1}
    assert document["started_at"] == "2027-01-15T08:00:00.000000+00:00"
    assert (document["duration"], document["exit_code"], document["stopped_by"]) == (2.5, 1, None)


def test_a_result_is_told_in_full(run, graph):
    assert run_results_document(run, graph)["results"][0] == {
        "id": "task:a",
        "kind": "task",
        "name": "a",
        "path": "tasks/a.py",
        "line": 1,
        "status": "succeeded",
        "attempt": 2,
        "materialized": None,
        "payload": {"rows": [1, 2.5, None, "é"]},
        "metadata": "x",
        "error": None,
        "retried": [{"type": "OSError", "message": "away", "traceback": "", "path": None, "line": None, "help": ""}],
        "skip_reason": None,
        "skip_mode": None,
        "because_of": [],
        "started_at": "2027-01-15T08:00:00.250000+00:00",
        "finished_at": "2027-01-15T08:00:01.000000+00:00",
        "duration": 0.5,
        "waited": 0.25,
        "fingerprint": "70:c0:50:00",
        "warnings": ["late"],
        "log": None,
    }


def test_failures_blocks_and_skips_say_why(run, graph):
    _, failed, blocked, skipped = run_results_document(run, graph)["results"]
    assert (failed["error"]["type"], failed["error"]["line"]) == ("ValueError", 7)
    assert (blocked["because_of"], blocked["started_at"]) == (["asset:b"], None)
    assert (skipped["skip_reason"], skipped["skip_mode"], skipped["materialized"]) == ("not yet", "soft", False)


def test_an_empty_run_has_a_document_too(graph, validate):
    run = RunResult(run_id="R1", target="dev", started_at=0.0, finished_at=0.0, results={}, exit_code=0)
    validate("run_results", run_results_document(run, graph))


def test_a_node_that_left_the_project_has_no_place(run, make_graph):
    result = run_results_document(run, make_graph())["results"][0]
    assert (result["path"], result["line"]) == (None, None)
