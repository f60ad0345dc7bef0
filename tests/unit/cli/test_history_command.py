from __future__ import annotations

import datetime

import pytest

from sqlbuild.app.node_history import AtWork, NodeHistory, PastResult
from sqlbuild.app.run_history import RunHistory
from sqlbuild.cli.history_command import ending_text, node_lines, run_lines
from sqlbuild.domain.ids import kind_of, name_of
from sqlbuild.domain.past_runs import Ending, PastRun
from sqlbuild.domain.results import ErrorFacts, NodeResult, SkipMode, Status


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """The machine's own time zone is not part of these tests."""
    monkeypatch.setattr("sqlbuild.cli.history_command._moment", utc_moment)


def utc_moment(at):
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def run(ending, **facts):
    return PastRun(run_id="r1", ending=Ending(ending), **facts)


DONE = {Status.SUCCEEDED: 3}


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (run("succeeded", counts=DONE), "succeeded: 3 succeeded"),
        (run("succeeded"), "succeeded"),
        (run("succeeded", resumed=1), "succeeded, resumed once"),
        (run("failed", resumed=2, counts={Status.FAILED: 1}), "failed, resumed 2 times: 1 failed"),
        (run("failed", stopped_by="fail-fast"), "stopped at the first failure"),
        (run("failed", stopped_by="a node that does not end"), "failed, stopped by a node that does not end"),
        (run("stopped", stopped_by="SIGINT", can_be_resumed=True), "stopped by SIGINT, can be resumed"),
        (run("killed", counts={**DONE, Status.UNKNOWN: 1}, planned=10, can_be_resumed=True),
         "killed, can be resumed: 3 succeeded, 1 unknown, 6 not begun"),
        (run("killed"), "killed"),
        (run("running", counts=DONE, planned=2_000, at_work=2), "running now: 3 of 2,000 nodes done, 2 at work"),
        (run("running"), "running now"),
        (run("damaged"), "not known, its journal is damaged"),
    ],
)  # fmt: skip
def test_how_a_run_ended_is_said_in_words(past, text):
    assert ending_text(past) == text


HISTORY = RunHistory(
    target="dev",
    runs=(
        PastRun(
            run_id="20270115T080000Z-abcdef",
            ending=Ending.FAILED,
            started_at=1_800_000_000.0,
            seconds=1.25,
            counts={Status.SUCCEEDED: 2, Status.FAILED: 1},
            command="sqb build +a",
        ),
        PastRun(run_id="20270115T070000Z-000000", ending=Ending.DAMAGED),
    ),
)


def test_runs_are_a_table():
    assert run_lines(HISTORY) == [
        "run                      started (UTC)          took  ended                              command",
        "20270115T080000Z-abcdef  2027-01-15 08:00:00  1.25 s  failed: 2 succeeded, 1 failed      sqb build +a",
        "20270115T070000Z-000000                               not known, its journal is damaged",
    ]
    assert run_lines(HISTORY, 200) == run_lines(HISTORY)


def test_on_a_narrow_terminal_the_end_of_a_run_stands_under_it():
    assert run_lines(HISTORY, 60) == [
        "run                      started (UTC)          took",
        "20270115T080000Z-abcdef  2027-01-15 08:00:00  1.25 s",
        "    failed: 2 succeeded, 1 failed",
        "    sqb build +a",
        "20270115T070000Z-000000",
        "    not known, its journal is damaged",
    ]


def test_a_target_without_runs_says_what_to_do():
    assert run_lines(RunHistory(target="dev", runs=())) == ["no run on target dev yet: `sqb build` makes the first one"]


def result(status, **facts):
    node = facts.pop("node_id", "asset:a")
    values = {"attempt": 1, "duration": 1.25, "started_at": 1_800_000_000.0, "finished_at": 1_800_000_001.25, **facts}
    return NodeResult(
        run_id="r1", node_id=node, kind=kind_of(node), name=name_of(node), status=Status(status), **values
    )


@pytest.fixture
def history(make_node):
    def make(*results, why="never built", at_work=None, node="asset:a"):
        return NodeHistory(
            node=make_node(node),
            target="dev",
            results=tuple(PastResult(result=found, why=why) for found in results),
            at_work=at_work,
            why_not="",
            damage=(),
        )

    return make


def test_results_of_a_node_say_why_it_ran_and_what_became_of_it(history):
    error = ErrorFacts(type="ValueError", message="not today\nnor tomorrow", path="a.py", line=3)
    assert node_lines(history(result("failed", attempt=2, error=error), why="code changed since run r0")) == [
        "asset:a on target dev",
        "",
        "run  started (UTC)        status  attempts    took",
        "r1   2027-01-15 08:00:00  failed         2  1.25 s",
        "    why: code changed since run r0",
        "    ValueError: not today (a.py:3)",
    ]


EXPORTS = '{"files":[{"path":"x/a.csv","rows":1200},{"path":"x/b.csv","rows":null}],"more_files":5}'


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (result("succeeded"), []),
        (result("succeeded", payload='{"n":1}'), ['payload: {"n":1}']),
        (result("succeeded", exports=EXPORTS), ["exported 7 files, at least 1,200 rows: x/a.csv, x/b.csv"]),
        (result("succeeded", materialized=False), ["not materialized"]),
        (result("succeeded", node_id="loader:a", metadata='{"rows":12,"write_strategy":"append"}'), ["12 rows"]),
        (
            result("warned", node_id="check:a", payload='{"verdict":"warn","message":"2 late"}', warnings=("slow",)),
            ["warn: 2 late", "warning: slow"],
        ),
        (result("skipped", skip_reason="no data", skip_mode=SkipMode.HARD), ["hard skip: no data"]),
        (result("blocked", attempt=0, because_of=("model:b",)), ["because of model:b"]),
    ],
)
def test_each_kind_of_result_tells_what_matters(history, found, told):
    assert node_lines(history(found, why=""))[4:] == [f"    {line}" for line in told]


def test_an_attempt_that_goes_on_comes_first(history):
    at_work = AtWork(run_id="r2", attempt=3, since=1_800_000_100.0)
    line = node_lines(history(result("succeeded"), at_work=at_work))[3]
    assert line.startswith("r2   2027-01-15 08:01:40  running           3  ")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("asset:a", "asset:a has not run on target dev yet"),
        ("source:a", "source:a is read, never run: it has no history"),
    ],
)
def test_a_node_without_results_says_so(history, node, said):
    assert node_lines(history(node=node)) == [said]
