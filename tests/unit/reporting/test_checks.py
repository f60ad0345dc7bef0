from __future__ import annotations

import json

import pytest

from sqlbuild.domain.events import NodeFinished
from sqlbuild.reporting.checks import said_text
from sqlbuild.reporting.run_lines import RunLines
from sqlbuild.reporting.summary import summary_lines


@pytest.fixture
def checked(make_result):
    def checked(status: str, message: str | None, verdict: str = "fail", **fields):
        payload = json.dumps({"verdict": verdict, "message": message})
        return make_result("check:orders_ok", status, payload=payload, **fields)

    return checked


@pytest.fixture
def lines(make_graph, make_plan, started, start):
    def lines(result, **options):
        run_lines = RunLines(**options)
        run_lines.lines(started(make_plan(make_graph({"model:orders": [], "check:orders_ok": ["model:orders"]}))))
        return run_lines.lines(NodeFinished(start, result))

    return lines


def test_message_and_metadata_stand_on_one_line(checked):
    result = checked("succeeded", "3\norders\x1b[2J", "pass", metadata='{"rows":3}')
    assert said_text(result) == '3 orders\\x1b[2J  {"rows":3}'
    assert said_text(checked("succeeded", None, "pass")) == ""


def test_a_check_that_failed_is_one_line(checked, lines, make_error):
    error = make_error(type="CheckFailed", message="3 orders without a customer", traceback="")
    assert lines(checked("failed", "3 orders without a customer", error=error)) == [
        "1/2  failed      check orders_ok  250 ms  3 orders without a customer"
    ]


def test_a_check_that_returned_false_says_so(checked, lines, make_error):
    error = make_error(type="CheckFailed", message="it returned False", traceback="")
    assert lines(checked("failed", None, error=error))[0].endswith("  it returned False")


def test_an_exception_in_a_check_keeps_its_traceback(lines, make_result, make_error):
    shown = lines(make_result("check:orders_ok", "warned", error=make_error(traceback="Traceback ...")))
    assert shown[0] == "1/2  warned      check orders_ok  250 ms"
    assert any("Traceback" in line for line in shown[1:])


def test_warned_checks_are_shown_also_when_quiet(checked, lines):
    assert len(lines(checked("warned", "late"), quiet=True)) == 1
    assert lines(checked("succeeded", "fine", "pass"), quiet=True) == []


def test_warned_checks_stand_among_the_warnings_of_the_summary(checked, make_result, make_run, make_error):
    raised = make_result("check:other", "warned", error=make_error(type="OSError", message="gone"))
    shown = summary_lines(make_run([checked("warned", "the last order is old"), raised]))
    assert [line for line in shown if line][1:4] == [
        "warnings (2):",
        "  orders_ok: the last order is old",
        "  other: OSError: gone",
    ]
    assert "2 warned" in shown[-1]
    assert shown[-1].startswith("done")
