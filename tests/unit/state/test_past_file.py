from __future__ import annotations

import json

import pytest

from sqlbuild.domain.ids import NodeId, NodeKind, Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import ErrorFacts, NodeResult, RunResult, Status
from sqlbuild.errors import EngineError
from sqlbuild.state import past_file
from sqlbuild.state.past_file import read_past, write_past

TASK = NodeId("task:a")


def past_of(*nodes: NodeId, run_id: str = "r1") -> Past:
    stored = PastNode(
        last_status=Status.SUCCEEDED,
        last_run_id=run_id,
        last_success_run_id=run_id,
        last_success_fingerprint="f",
        last_success_at=10.5,
        typical_seconds=0.25,
    )
    return Past(
        nodes=dict.fromkeys(nodes, stored),
        relations=frozenset({Relation("", "dev", "orders"), Relation("other", "dev", "größe")}),
        last_run_id=run_id,
    )


def run_of(*nodes: NodeId, run_id: str = "r1", target: str = "dev", **facts: object) -> RunResult:
    results = {
        node: NodeResult(
            **{
                "run_id": run_id,
                "node_id": node,
                "kind": NodeKind.TASK,
                "name": "a",
                "status": Status.SUCCEEDED,
                **facts,
            }
        )
        for node in nodes
    }
    return RunResult(run_id=run_id, target=target, started_at=1.0, finished_at=2.0, results=results, exit_code=0)


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "state.json")


def test_the_past_and_the_results_come_back(path):
    past, run = past_of(TASK), run_of(TASK, payload='{"n":1}')
    write_past(path, past, run)
    found, results = read_past(path, "dev")
    assert found == past
    assert dict(results) == {TASK: (run.results[TASK],)}


def test_the_last_five_results_of_a_node_are_kept_newest_first(path):
    for number in range(8):
        write_past(path, past_of(TASK), run_of(TASK, run_id=f"r{number}"))
    _, results = read_past(path, "dev")
    assert [result.run_id for result in results[TASK]] == ["r7", "r6", "r5", "r4", "r3"]


def test_nodes_that_did_not_run_keep_their_results(path):
    other = NodeId("task:b")
    write_past(path, past_of(TASK, other), run_of(TASK, other))
    write_past(path, past_of(TASK, other), run_of(other, run_id="r2"))
    _, results = read_past(path, "dev")
    assert [result.run_id for result in results[TASK]] == ["r1"]
    assert [result.run_id for result in results[other]] == ["r2", "r1"]


def test_a_large_project_keeps_fewer_results_of_each_node(path, monkeypatch):
    monkeypatch.setattr(past_file, "MAX_RESULTS", 4)
    nodes = [NodeId(f"task:t{number}") for number in range(2)]
    for number in range(3):
        write_past(path, past_of(*nodes), run_of(*nodes, run_id=f"r{number}"))
    _, results = read_past(path, "dev")
    assert [result.run_id for result in results[nodes[0]]] == ["r2", "r1"]


def test_long_payloads_are_left_out_and_the_result_says_so(path):
    write_past(path, past_of(TASK), run_of(TASK, payload=json.dumps("x" * 5_000), metadata="{}"))
    (result,) = read_past(path, "dev")[1][TASK]
    assert (result.payload, result.metadata) == (None, "{}")
    assert result.warnings == ("the payload of 5,002 characters is kept in the warehouse only",)


def test_a_lone_surrogate_does_not_stop_the_file(path):
    write_past(path, past_of(TASK), run_of(TASK, error=ErrorFacts(type="E", message="\ud800")))
    (result,) = read_past(path, "dev")[1][TASK]
    assert result.error.message == "\\ud800"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"schema_version": 2, "target": "dev", "results": {}, "nodes": {}, "relations": [], "last_run_id": null}',
        '{"schema_version": 1, "target": "prod", "results": {}, "nodes": {}, "relations": [], "last_run_id": null}',
        '{"schema_version": 1, "target": "dev", "results": {}, "nodes": {"task:a": [1]}, "relations": []}',
        '{"schema_version": 1, "target": "dev", "results": {}, "nodes": {}, "relations": [1], "last_run_id": null}',
        '{"schema_version": 1, "target": "dev", "results": 3, "nodes": {}, "relations": [], "last_run_id": null}',
    ],
)
def test_without_a_readable_file_there_is_nothing_to_tell(tmp_path, path, content):
    if content is not None:
        (tmp_path / "state.json").write_text(content)
    assert read_past(path, "dev") == (Past(), {})


def test_an_unreadable_file_is_replaced(tmp_path, path):
    (tmp_path / "state.json").write_text("{")
    write_past(path, past_of(TASK), run_of(TASK))
    assert read_past(path, "dev")[0] == past_of(TASK)


def test_a_malformed_result_is_none_at_all(tmp_path, path):
    write_past(path, past_of(TASK), run_of(TASK))
    document = json.loads((tmp_path / "state.json").read_text())
    document["results"]["task:a"] = [{"status": "odd"}]
    (tmp_path / "state.json").write_text(json.dumps(document))
    past, results = read_past(path, "dev")
    assert past == past_of(TASK)
    assert results.get(TASK) == ()


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path, path, monkeypatch):
    def refuse(source: str, destination: str) -> None:
        raise OSError(28, "No space left on device")

    write_past(path, past_of(TASK), run_of(TASK))
    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(EngineError, match=r"state\.json cannot be written: No space"):
        write_past(path, past_of(TASK, run_id="r2"), run_of(TASK, run_id="r2"))
    assert read_past(path, "dev")[0] == past_of(TASK)
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]
