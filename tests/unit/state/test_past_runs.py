from __future__ import annotations

import dataclasses

import pytest

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.past_runs import Ending
from sqlbuild.domain.results import RunResult, Status
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import EngineError
from sqlbuild.state.journal import FileJournal, read_journal, read_opening
from sqlbuild.state.past_runs import StoredRun, command_of, ending_of, run_at_work, run_of_journal, run_of_rows
from sqlbuild.state.run_journal import RunJournal, fold_entries

A, B, C = NodeId("task:a"), NodeId("task:b"), NodeId("task:c")


@pytest.mark.parametrize(
    ("exit_code", "stopped_by", "ending"),
    [
        (0, None, Ending.SUCCEEDED),
        (1, None, Ending.FAILED),
        (1, "fail-fast", Ending.FAILED),
        (5, "a node that does not end", Ending.FAILED),
        (130, "SIGINT", Ending.STOPPED),
        (129, "SIGHUP", Ending.STOPPED),
        (130, "cancellation", Ending.STOPPED),
        (5, "lost", Ending.KILLED),
        (None, None, Ending.KILLED),
    ],
)
def test_how_a_run_ended_is_told_by_its_exit_code_and_by_what_stopped_it(exit_code, stopped_by, ending):
    assert ending_of(exit_code, stopped_by) is ending


def row(started_at, finished_at, exit_code=0, stopped_by=None):
    return StoredRun(started_at=started_at, finished_at=finished_at, exit_code=exit_code, stopped_by=stopped_by)


def test_a_run_that_was_gone_on_with_is_one_run():
    rows = [row(100.0, 105.0, 5, "lost"), row(900.0, 903.0, 1), row(2000.0, 2001.0)]
    run = run_of_rows("r1", rows, {Status.SUCCEEDED: 3}, 100.0)
    assert (run.started_at, run.finished_at, run.seconds, run.resumed) == (100.0, 2001.0, 9.0, 2)
    assert (run.ending, run.exit_code, run.counts) == (Ending.SUCCEEDED, 0, {Status.SUCCEEDED: 3})


def test_time_is_not_counted_twice_where_a_lost_process_is_only_known_to_have_begun_with_the_run():
    rows = [row(100.0, 105.0, 5, "lost"), row(100.0, 110.0, 5, "lost")]
    run = run_of_rows("r1", rows, {}, 100.0)
    assert (run.seconds, run.ending, run.exit_code, run.stopped_by) == (10.0, Ending.KILLED, None, None)


def test_a_run_of_which_only_results_are_stored_was_killed():
    run = run_of_rows("r1", [], {Status.SUCCEEDED: 1}, 7.0)
    assert (run.ending, run.started_at, run.seconds, run.resumed) == (Ending.KILLED, 7.0, None, 0)


def entries(*more):
    """A run of three nodes: one succeeded, one is at work, one has not begun."""
    record = '{"node_id":"task:a","status":"succeeded"}'
    return [
        ({"journal": 1, "run_id": "r1", "target": "dev", "started_at": 100.0}, None),
        ({"planned": {A: "1", B: "1", C: "1"}}, None),
        ({"started": A, "attempt": 1, "at": 101.0}, None),
        ({"finished": {"node_id": A, "status": "succeeded"}}, record),
        ({"started": B, "attempt": 1, "at": 103.0}, None),
        *((entry, None) for entry in more),
    ]


def test_a_journal_without_an_end_tells_how_far_its_run_came():
    run = run_of_journal("r1", fold_entries(entries()))
    assert (run.ending, run.planned, run.counts) == (Ending.KILLED, 3, {Status.SUCCEEDED: 1, Status.UNKNOWN: 1})
    assert (run.started_at, run.finished_at, run.seconds) == (100.0, 103.0, 3.0)


def test_what_is_at_work_in_a_run_that_goes_on_is_not_lost():
    journal = fold_entries(entries())
    run = run_at_work(run_of_journal("r1", journal), journal, 110.0)
    assert (run.ending, run.counts, run.at_work) == (Ending.RUNNING, {Status.SUCCEEDED: 1}, 1)
    assert (run.seconds, run.finished_at) == (10.0, None)


def test_a_run_that_one_process_brought_to_its_end_is_told_by_its_last_record():
    end = {"ended": "r1", "at": 104.0, "exit_code": 1, "counts": {"succeeded": 2, "failed": 1}}
    run = run_of_journal("r1", fold_entries(entries(end)))
    assert run.counts == {Status.SUCCEEDED: 2, Status.FAILED: 1}
    resumed = entries({"resumed": "r1", "at": 200.0}, {**end, "counts": {"succeeded": 1}})
    assert run_of_journal("r1", fold_entries(resumed)).counts == {Status.SUCCEEDED: 1, Status.UNKNOWN: 1}


def test_the_time_between_two_processes_of_a_run_is_not_counted():
    journal = fold_entries(
        entries(
            {"replayed": "r1", "at": 5000.0},
            {"resumed": "r1", "at": 5001.0},
            {"planned": {B: "1"}},
            {"started": B, "attempt": 2, "at": 5002.0},
            {"ended": "r1", "at": 5004.0, "exit_code": 1, "stopped_by": "fail-fast"},
        )
    )
    run = run_of_journal("r1", journal)
    assert (run.seconds, run.resumed, run.exit_code, run.stopped_by) == (6.0, 1, 1, "fail-fast")
    assert journal.resumed_at == 5001.0


def test_a_journal_remembers_with_what_and_in_which_order_its_nodes_began():
    journal = fold_entries(
        entries(
            {"resumed": "r1", "at": 200.0},
            {"planned": {A: "2", B: "2", C: "2"}},
            {"started": A, "attempt": 2, "at": 201.0},
        )
    )
    assert journal.began_with == {A: "2", B: "1"}
    assert journal.turns[A] > journal.turns[B]
    assert journal.planned == {A: "2", B: "2", C: "2"}


def test_a_journal_without_a_readable_first_record_is_of_a_run_that_was_killed():
    run = run_of_journal("r1", RunJournal())
    assert (run.ending, run.planned, run.seconds, run.command) == (Ending.KILLED, None, None, None)


@pytest.mark.parametrize(
    ("selection", "more", "command"),
    [
        (Selection(), {}, "sqb build"),
        (Selection(select=("+a", "tag:x y"), exclude=("b",)), {}, "sqb build +a 'tag:x y' --exclude b"),
        (Selection(only=True, no_python=True, load=False, no_checks=True), {}, None),
        (Selection(checks_alone=True), {"command": "sqb check"}, "sqb check"),
        (Selection(checks_alone=True), {}, "sqb check"),
        (Selection(loaders_alone=True, load=True), {"reload": True}, "sqb load --reload"),
        (Selection(select=("a",)), {"command": "sqlbuild.build"}, "sqlbuild.build a"),
    ],
)
def test_the_command_of_a_run_is_told_with_what_it_asked_for(selection, more, command):
    journal = RunJournal(request={"selection": dataclasses.asdict(selection), "vars": {}, **more})
    assert command_of(journal) == (command or "sqb build --only --no-python --no-load --no-audits")


def test_a_journal_can_be_asked_about_some_of_its_nodes(tmp_path):
    journal = FileJournal(str(tmp_path), run_id="r1", target="dev", planned={A: "1", B: "1"})
    for node in (A, B):
        journal.started(node, 1, 1.0)
        journal.attempt_failed(node, 1, 1.5, "away")
        journal.finished(f'{{"node_id":"{node}","status":"failed"}}')
    journal.close()
    found = read_journal(journal.path, about=[B])
    assert (list(found.started), list(found.records), list(found.failed_attempts)) == ([B], [B], [B])
    assert found.planned == {A: "1", B: "1"}
    assert read_journal(journal.path, about=()).started == {}
    content = bytearray(tmp_path.joinpath("journal.jsonl").read_bytes())
    content[content.index(b"away")] ^= 1
    tmp_path.joinpath("journal.jsonl").write_bytes(content)
    with pytest.raises(EngineError, match="is damaged at byte"):
        read_journal(journal.path, about=[B])


def test_the_opening_of_a_journal_tells_the_facts_and_the_request_only(tmp_path):
    journal = FileJournal(str(tmp_path), run_id="r1", target="dev", request={"selection": {}}, planned={A: "1"})
    journal.started(A, 1, 1.0)
    journal.ended(RunResult(run_id="r1", target="dev", started_at=1.0, finished_at=2.0, results={}, exit_code=0))
    journal.close()
    opening, whole = read_opening(journal.path), read_journal(journal.path)
    assert (opening.run_id, opening.target, opening.request) == ("r1", "dev", {"selection": {}})
    assert (opening.planned, opening.started, opening.ended_with) == ({}, {}, None)
    assert (whole.ended_with, whole.last_at, whole.stopped_by) == (0, 2.0, None)
