from __future__ import annotations

from sqlbuild.reporting.failures import error_text, failure_lines, place_text

TRACEBACK = """Traceback (most recent call last):
  File "assets/a.py", line 7, in export
    push(rows)
OSError: refused
"""


def test_a_failure_tells_place_error_attempts_traceback_and_help(make_result, make_error):
    error = make_error(traceback=TRACEBACK, help="is the service up?")
    result = make_result("asset:a", "failed", attempt=3, error=error, retried=(make_error("one"), make_error("two")))
    assert failure_lines(result) == [
        "assets/a.py:7: OSError: refused",
        "attempt 1 failed too: OSError: one",
        "attempt 2 failed too: OSError: two",
        "Traceback (most recent call last):",
        '  File "assets/a.py", line 7, in export',
        "    push(rows)",
        "help: is the service up?",
    ]


def test_a_failure_names_the_log_of_its_node(make_result, make_error):
    result = make_result("asset:a", "failed", error=make_error(help="try later"), log="target/runs/r1/logs/a.1.log")
    assert failure_lines(result)[-2:] == ["help: try later", "log: target/runs/r1/logs/a.1.log"]


def test_a_message_of_many_lines_is_told_once_and_indented(make_result, make_error):
    message = "Parser Error:\nLINE 1: SELEC\n        ^"
    error = make_error(message, type="WarehouseError", traceback=f"WarehouseError: {message}\n", path="models/m.sql")
    assert failure_lines(make_result("model:m", "failed", error=error)) == [
        "models/m.sql:7: WarehouseError: Parser Error:",
        "  LINE 1: SELEC",
        "          ^",
    ]


def test_a_fix_that_the_message_names_is_told_once(make_result, make_error):
    error = make_error("it was skipped; help: give default", type="NoResult", help="give default")
    assert failure_lines(make_result("task:t", "failed", error=error)) == [
        "assets/a.py:7: NoResult: it was skipped",
        "help: give default",
    ]


def test_an_error_without_message_or_place_still_has_its_type(make_result, make_error):
    error = make_error("", type="KeyError", path="", line=None, traceback="KeyError\n")
    assert failure_lines(make_result("task:t", "failed", error=error)) == ["KeyError"]


def test_of_many_attempts_the_last_ones_are_told(make_result, make_error):
    retried = tuple(make_error(str(number)) for number in range(1, 100))
    lines = failure_lines(make_result("task:t", "failed", attempt=100, error=make_error("end"), retried=retried))
    assert lines[0] == "assets/a.py:7: OSError: end"
    assert lines[1:] == [f"attempt {number} failed too: OSError: {number}" for number in range(95, 100)]


def test_a_huge_hostile_message_is_bounded_and_escaped(make_result, make_error):
    error = make_error("\x1b[2J" + "x" * 1_000_000, traceback="y" * 1_000_000)
    text = "\n".join(failure_lines(make_result("task:t", "failed", error=error)))
    assert len(text) < 10_000
    assert "\x1b" not in text


def test_a_result_without_an_error_has_no_lines(make_result):
    assert failure_lines(make_result("task:t", "unknown")) == []


def test_error_and_place_fit_on_a_line(make_error):
    assert error_text(make_error("a\nb")) == "OSError: a b"
    assert error_text(make_error("")) == "OSError"
    assert place_text(make_error(line=None)) == "assets/a.py"
    assert place_text(make_error(path="", line=None)) == ""
