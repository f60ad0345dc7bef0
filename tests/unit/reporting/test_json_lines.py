from __future__ import annotations

import io
import json

import pytest

from sqlbuild.domain.events import (
    NodeFinished,
    NodeLogged,
    NodeProgress,
    NodeRetrying,
    NodeStaged,
    NodeStarted,
    PoolPaused,
    PoolUse,
    RunNote,
    RunStopping,
    RunWarning,
    WaitingForTarget,
)
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import SkipMode
from sqlbuild.reporting.json_lines import JsonLines


def written(*events):
    stream = io.StringIO()
    sink = JsonLines(stream)
    for event in events:
        sink.handle(event)
    sink.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


AT = "2025-06-15T15:06:40.250000+00:00"


@pytest.fixture
def at(start):
    return start + 0.25


def test_a_run_is_told_from_start_to_end(make_graph, make_plan, started, make_run, make_result, finished):
    plan = make_plan(make_graph({"task:a": [], "task:b": []}))
    run = make_run(
        [make_result("task:a"), make_result("task:b", "failed")],
        exit_code=1,
        critical_path=("task:a",),
        warnings=("odd",),
    )
    assert written(started(plan, threads=16), finished(run)) == [
        {
            "schema_version": 1,
            "event": "run_started",
            "at": "2025-06-15T15:06:40.000000+00:00",
            "run_id": "r1",
            "target": "dev",
            "dry_run": False,
            "total": 2,
            "lanes": {"threads": 16},
            "nodes": ["task:a", "task:b"],
            "warnings": [],
        },
        {
            "schema_version": 1,
            "event": "run_finished",
            "at": "2025-06-15T15:06:42.000000+00:00",
            "run_id": "r1",
            "target": "dev",
            "dry_run": False,
            "exit_code": 1,
            "stopped_by": None,
            "started_at": "2025-06-15T15:06:40.000000+00:00",
            "finished_at": "2025-06-15T15:06:42.000000+00:00",
            "duration": 2.0,
            "counts": {"succeeded": 1, "failed": 1},
            "critical_path": ["task:a"],
            "warnings": ["odd"],
        },
    ]


def test_a_finished_node_is_told_with_payload_and_metadata_as_json(at, make_result):
    result = make_result("asset:a", materialized=True, payload='{"rows":[1,2]}', metadata="null", started_at=at)
    [document] = written(NodeFinished(at, result))
    assert document == {
        "schema_version": 1,
        "event": "node_finished",
        "at": AT,
        "run_id": "r1",
        "node": "asset:a",
        "kind": "asset",
        "name": "a",
        "status": "succeeded",
        "attempt": 1,
        "materialized": True,
        "payload": {"rows": [1, 2]},
        "metadata": None,
        "error": None,
        "retried": [],
        "skip_reason": None,
        "skip_mode": None,
        "because_of": [],
        "started_at": AT,
        "finished_at": None,
        "duration": 0.25,
        "waited": 0.0,
        "warnings": [],
        "log": None,
    }


def test_a_failure_carries_its_errors(at, make_result, make_error):
    result = make_result("task:t", "failed", attempt=2, error=make_error(), retried=(make_error("first"),))
    [document] = written(NodeFinished(at, result))
    assert document["error"] == {
        "type": "OSError",
        "message": "refused",
        "traceback": "",
        "path": "assets/a.py",
        "line": 7,
        "help": "",
    }
    assert [error["message"] for error in document["retried"]] == ["first"]


def test_skips_and_blocks_carry_their_causes(at, make_result):
    skipped, blocked = written(
        NodeFinished(at, make_result("task:t", "skipped", skip_reason="why", skip_mode=SkipMode.HARD)),
        NodeFinished(at, make_result("task:u", "blocked", because_of=("task:t",))),
    )
    assert (skipped["skip_reason"], skipped["skip_mode"]) == ("why", "hard")
    assert blocked["because_of"] == ["task:t"]


def test_the_smaller_events_have_their_facts(at, make_error):
    head = {"schema_version": 1, "at": AT}
    assert written(
        NodeStarted(at, "task:t", NodeKind.TASK, "t", 1),
        NodeProgress(at, "task:t", 3, 10, "third"),
        NodeRetrying(at, "task:t", "t", 1, 2.0, make_error()),
        NodeStaged(at, "model:m", "m", 1, ("audit:m.a",)),
        RunNote(at, "tidied"),
        RunWarning(at, "odd"),
        RunStopping(at, "SIGTERM", 10.0),
    ) == [
        {**head, "event": "node_started", "node": "task:t", "kind": "task", "name": "t", "attempt": 1},
        {**head, "event": "node_progress", "node": "task:t", "done": 3, "total": 10, "message": "third"},
        {
            **head,
            "event": "node_retrying",
            "node": "task:t",
            "attempt": 1,
            "delay": 2.0,
            "error": {
                "type": "OSError", "message": "refused", "traceback": "", "path": "assets/a.py", "line": 7, "help": "",
            },
        },
        {**head, "event": "node_staged", "node": "model:m", "attempt": 1, "gates": ["audit:m.a"]},
        {**head, "event": "run_note", "message": "tidied"},
        {**head, "event": "run_warning", "message": "odd"},
        {**head, "event": "run_stopping", "cause": "SIGTERM", "grace": 10.0},
    ]  # fmt: skip


def test_log_fields_that_json_lacks_become_text(at):
    fields = {"rows": 3, "ids": [1, 2], "ratio": float("nan"), "where": object, 7: {"a": {1}}, "share": 0.5}
    [document] = written(NodeLogged(at, "task:t", "t", 1, "info", "hello", fields))
    assert document["fields"] == {
        "rows": 3,
        "ids": [1, 2],
        "ratio": "nan",
        "where": "<class 'object'>",
        "7": "{'a': {1}}",
        "share": 0.5,
    }


def test_progress_that_is_no_number_becomes_text(at):
    [document] = written(NodeProgress(at, "task:t", float("inf"), None, None))
    assert document["done"] == "inf"


def test_lines_are_ascii_so_that_any_encoding_can_carry_them(at):
    stream = io.StringIO()
    sink = JsonLines(stream)
    sink.handle(RunWarning(at, "ünïcode \ud800"))
    sink.tick()
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue())["message"] == "ünïcode \ud800"


@pytest.mark.parametrize("fraction", [0.0, 0.000001, 0.5, 0.999999])
def test_times_are_utc_with_six_decimals(start, fraction):
    [document] = written(RunWarning(start + fraction, "x"))
    assert document["at"].startswith("2025-06-15T15:06:40.")
    assert len(document["at"]) == len(AT)


def test_pauses_and_the_use_of_pools_are_told(at):
    assert written(PoolPaused(at, "crm", 2.0, "task:a", "a"), PoolUse(at, {"pool:crm": 1}, {"pool:crm": 4})) == [
        {"schema_version": 1, "event": "pool_paused", "at": AT, "pool": "crm", "seconds": 2.0, "node": "task:a"},
        {
            "schema_version": 1,
            "event": "pool_use",
            "at": AT,
            "used_by_blocks": {"pool:crm": 1},
            "waiting_blocks": {"pool:crm": 4},
        },
    ]


def test_waiting_for_a_target_is_told(at):
    assert written(WaitingForTarget(at, "target dev is held by run r1", 0.0, 60.0)) == [
        {
            "schema_version": 1,
            "event": "waiting_for_target",
            "at": AT,
            "holder": "target dev is held by run r1",
            "waited": 0.0,
            "timeout": 60.0,
        }
    ]
