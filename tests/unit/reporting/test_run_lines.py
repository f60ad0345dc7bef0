from __future__ import annotations

import dataclasses
import time

import pytest

from sqlbuild.domain.events import (
    LogLinesDropped,
    NodeFinished,
    NodeLogged,
    NodeRetrying,
    NodeStaged,
    NodeStarted,
    PoolPaused,
    PoolUse,
    RunNote,
    RunStopping,
    RunWarning,
)
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import ErrorFacts, SkipMode
from sqlbuild.reporting.run_lines import RunLines
from sqlbuild.reporting.wording import coloured


@pytest.fixture
def plan(make_graph, make_plan):
    return make_plan(make_graph({"model:orders": [], "task:ping": [], "asset:orders_export": ["model:orders"]}))


@pytest.fixture
def open_run(plan, started):
    """`open_run(**options)` gives a RunLines that has seen the start of a run of three nodes."""

    def make(**options):
        run_lines = RunLines(**options)
        run_lines.lines(started(plan))
        return run_lines

    return make


def test_the_first_line_says_what_runs_where(plan, started):
    assert RunLines().lines(started(plan)) == ["run r1 on target dev: 3 nodes (1 model, 1 task, 1 asset)"]


def test_each_finished_node_gets_one_aligned_line(open_run, make_result, start):
    run_lines = open_run()
    results = [
        make_result("model:orders", duration=1.5),
        make_result("task:ping", "skipped", skip_reason="nobody there", skip_mode=SkipMode.SOFT),
        make_result("asset:orders_export", attempt=2, materialized=False),
    ]
    assert [line for result in results for line in run_lines.lines(NodeFinished(start, result))] == [
        "1/3  succeeded   model orders         1.50 s",
        "2/3  skipped     task  ping           250 ms  soft: nobody there",
        "3/3  succeeded   asset orders_export  250 ms  attempt 2  not materialized",
    ]


def test_a_failure_is_told_under_its_line(open_run, make_result, make_error, start):
    lines = open_run().lines(NodeFinished(start, make_result("task:ping", "failed", error=make_error(help="look"))))
    assert lines == [
        "1/3  failed      task  ping           250 ms",
        "     assets/a.py:7: OSError: refused",
        "     help: look",
    ]


def test_what_never_ran_has_no_line_unless_asked_for(open_run, make_result, start):
    events = [
        NodeFinished(start, make_result("asset:orders_export", "blocked", because_of=("model:orders",))),
        NodeFinished(start, make_result("task:ping", "skipped", attempt=0)),
        NodeFinished(start, make_result("model:orders", "not_started")),
    ]
    run_lines = open_run()
    assert [run_lines.lines(event) for event in events] == [[], [], []]
    assert run_lines.progress.finished == 3
    assert open_run(verbose=True).lines(events[0]) == ["1/3  blocked     asset orders_export  because of model:orders"]


def test_quiet_prints_failures_and_the_outcome_only(open_run, make_result, make_error, make_run, finished, start):
    run_lines = open_run(quiet=True)
    failed = make_result("task:ping", "failed", error=make_error())
    skipped = make_result("model:orders", "skipped", skip_reason="why not")
    assert run_lines.lines(NodeFinished(start, make_result("asset:orders_export"))) == []
    assert run_lines.lines(NodeFinished(start, skipped)) == []
    assert run_lines.lines(RunWarning(start, "odd")) == []
    assert run_lines.lines(RunNote(start, "tidied")) == []
    assert run_lines.lines(NodeRetrying(start, "task:ping", "ping", 1, 1.0, make_error())) == []
    assert len(run_lines.lines(NodeFinished(start, failed))) == 2
    assert run_lines.lines(finished(make_run([failed], exit_code=1)))[0] == "failed in 2.00 s: 1 failed"


def test_a_retry_is_a_line_with_its_cause(open_run, make_error, start):
    event = NodeRetrying(start, "task:ping", "ping", 1, 1.5, make_error("busy\nvery"))
    assert open_run().lines(event) == [
        "     retrying    task  ping           in 1.50 s, attempt 1 failed: OSError: busy very"
    ]


def test_a_paused_pool_is_a_line_that_says_who_was_told(open_run, start):
    event = PoolPaused(start, "crm", 2.0, "task:ping", "ping")
    assert open_run().lines(event) == ["     paused      pool crm for 2.00 s, as ping was told"]
    assert open_run(quiet=True).lines(event) == []
    assert open_run(verbose=True).lines(PoolUse(start, {"pool:crm": 1}, {})) == []


def test_only_verbose_tells_starts_and_waits(open_run, make_result, start):
    event = NodeStarted(start, "task:ping", NodeKind.TASK, "ping", 2)
    assert open_run().lines(event) == []
    assert open_run(verbose=True).lines(event) == ["     started     task  ping  attempt 2"]
    waited = NodeFinished(start, make_result("task:ping", waited=2.0))
    assert open_run(verbose=True).lines(waited) == ["1/3  succeeded   task  ping           250 ms  waited 2.00 s"]


LEVELS = ("debug", "print", "stderr", "info", "warning", "error", "critical")


@pytest.mark.parametrize(
    ("options", "levels"), [({}, LEVELS[4:]), ({"verbose": True}, LEVELS), ({"quiet": True}, LEVELS[4:])]
)
def test_of_what_nodes_say_warnings_are_always_shown_and_the_rest_when_asked_for(open_run, start, options, levels):
    run_lines = open_run(**options)
    events = [NodeLogged(start, "task:ping", "ping", 1, level, level, {}) for level in LEVELS]
    assert [line for event in events for line in run_lines.lines(event)] == [
        f"     {level:<11} ping: {level}" for level in levels
    ]


def test_a_log_line_shows_its_fields_and_cannot_forge_others(open_run, start):
    event = NodeLogged(start, "task:ping", "ping", 1, "warning", "two\nlines \x1b[0m", {"rows": 3, "note": "a\nb"})
    assert open_run().lines(event) == [
        "     warning     ping: two rows=3 note=a b",
        "                 lines \\x1b[0m",
    ]


@pytest.mark.parametrize(
    ("options", "told"), [({}, ["  5 log lines came faster"]), ({"verbose": True}, ["  1,205 log lines came faster"])]
)
def test_lines_that_could_not_be_shown_are_counted_in_the_summary(open_run, make_run, finished, start, options, told):
    run_lines = open_run(**options)
    for counts in ({"info": 1_000, "warning": 3}, {"print": 200, "error": 2}):
        assert run_lines.lines(LogLinesDropped(start, counts)) == []
    summary = run_lines.lines(finished(make_run([])))
    assert [line.partition(" than")[0] for line in summary if "log line" in line] == told


def test_a_warning_of_the_run_is_told_at_once_and_in_the_summary(open_run, make_run, finished, start):
    run_lines = open_run()
    assert run_lines.lines(RunNote(start, "tidied")) == ["tidied"]
    assert run_lines.lines(RunWarning(start, "odd")) == ["warning: odd"]
    assert run_lines.lines(finished(make_run([], warnings=("odd",))))[:3] == ["", "warnings (1):", "  odd"]


def test_warnings_of_a_node_stand_under_its_line(open_run, make_result, start):
    lines = open_run(quiet=True).lines(NodeFinished(start, make_result("task:ping", warnings=("blocked the loop",))))
    assert lines == ["1/3  succeeded   task  ping           250 ms", "     warning: blocked the loop"]


def test_stopping_tells_whom_it_waits_for(open_run, start):
    run_lines = open_run()
    run_lines.lines(NodeStarted(start, "task:ping", NodeKind.TASK, "ping", 1))
    assert run_lines.lines(RunStopping(start, "SIGINT", 10.0)) == [
        "stopping (SIGINT): nothing new starts; waiting up to 10.0 s for 1 node to end: ping"
    ]
    assert open_run().lines(RunStopping(start, "fail-fast", 10.0)) == [
        "stopping (--fail-fast after a failure): nothing new starts"
    ]


def test_after_twenty_failures_one_line_each_is_enough(open_run, make_result, make_error, start):
    run_lines = open_run()
    error = make_error(traceback="Traceback (most recent call last):\n  ...\nOSError: refused\n")
    event = NodeFinished(start, make_result("task:ping", "failed", error=error))
    heights = [len(run_lines.lines(event)) for _ in range(25)]
    assert heights == [4] * 20 + [2] * 5


def test_words_and_not_only_colours_carry_the_meaning(open_run, make_result, start):
    event = NodeFinished(start, make_result("task:ping", "failed"))
    plain, painted = open_run().lines(event)[0], open_run(paint=coloured).lines(event)[0]
    assert "\x1b[31mfailed" in painted
    assert painted.replace("\x1b[31m", "").replace("\x1b[0m", "") == plain


def test_ten_thousand_nodes_cost_microseconds_each(make_graph, make_plan, started, make_result, start):
    ids = [f"task:n{number}" for number in range(10_000)]
    run_lines = RunLines()
    run_lines.lines(started(make_plan(make_graph(dict.fromkeys(ids, ())))))
    events = [
        event
        for id in ids
        for event in (
            NodeStarted(start, id, NodeKind.TASK, id.partition(":")[2], 1),
            NodeFinished(start, make_result(id)),
        )
    ]
    before = time.process_time()
    for event in events:
        run_lines.lines(event)
    # About 6 microseconds on an idle machine; the limit leaves room for a busy one.
    assert (time.process_time() - before) / len(ids) < 40e-6


def test_what_a_dry_run_would_do_is_told_with_the_reason(open_run, make_result, start):
    result = make_result("task:ping", "would_run", attempt=0, duration=0.0, skip_reason="code changed since run r0")
    for options in ({}, {"verbose": True}):
        assert open_run(**options).lines(NodeFinished(start, result)) == [
            "1/3  would run   task  ping           code changed since run r0"
        ]


@pytest.fixture
def audited(make_graph, make_node, make_plan):
    return make_plan(
        make_graph(
            make_node("model:orders"),
            make_node("audit:orders.unique(id)", ["model:orders"], target="model:orders"),
            make_node("audit:orders.known", ["model:orders"], target="model:orders"),
        )
    )


def test_audits_that_pass_are_listed_only_where_somebody_looks_for_them(audited, started, make_result, start):
    passed = NodeFinished(start, make_result("audit:orders.unique(id)"))
    for options, shown in (({}, 0), ({"verbose": True}, 1), ({"quiet": True}, 0)):
        lines = RunLines(**options)
        lines.lines(started(audited))
        assert len(lines.lines(passed)) == shown
    alone = dataclasses.replace(
        audited, steps={node: step for node, step in audited.steps.items() if node.startswith("audit")}
    )
    lines = RunLines()
    lines.lines(started(alone))
    assert lines.lines(passed) == ["1/2  succeeded   audit orders.unique(id)  250 ms"]


def test_what_an_audit_found_stands_under_its_line_also_if_it_only_warns(audited, started, make_result, start):
    error = ErrorFacts(type="AuditFailed", message="2 rows violate it:\n  id=1\n  id=1", path="models/o.sql", line=4)
    for status in ("failed", "warned"):
        lines = RunLines()
        lines.lines(started(audited))
        assert lines.lines(NodeFinished(start, make_result("audit:orders.known", status, error=error))) == [
            f"1/3  {status:<11} audit orders.known       250 ms",
            "     models/o.sql:4: AuditFailed: 2 rows violate it:",
            "         id=1",
            "         id=1",
        ]


def test_a_model_that_waits_for_its_gates_is_told_when_asked_for_more(audited, started, start):
    event = NodeStaged(start, "model:orders", "orders", 1, ("audit:orders.known", "audit:orders.unique(id)"))
    for verbose in (False, True):
        lines = RunLines(verbose=verbose)
        lines.lines(started(audited))
        told = ["     staged      model orders             waits for 2 audits"] if verbose else []
        assert lines.lines(event) == told
