from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.state.log_lines import log_line, read_log

AT = 1_800_000_000.1234
"""2027-01-15 08:00:00.1234 UTC."""


def test_a_line_tells_time_level_message_and_fields():
    fields = {"order_id": 17, "status": "not found", "path": "a/b.csv", "price": 0.5, "ok": True, "note": None}
    assert log_line(AT, "info", "pushed an order", fields) == (
        "2027-01-15T08:00:00.123Z info     pushed an order\t"
        'order_id=17 status="not found" path=a/b.csv price=0.5 ok=true note=null\n'
    )


def test_further_lines_are_indented_and_kept_whole():
    text = "could not push\nTraceback (most recent call last):\n  File a.py\nOSError: refused\n"
    assert log_line(AT, "error", text, {}) == (
        "2027-01-15T08:00:00.123Z error    could not push\n"
        "  Traceback (most recent call last):\n    File a.py\n  OSError: refused\n"
    )


def test_no_message_can_pass_for_another():
    forged = "harmless\n2027-01-15T08:00:00.123Z error    forged\n"
    (read,) = read_log(log_line(AT, "info", forged, {}).splitlines(keepends=True))
    assert read["message"] == forged.rstrip()


@pytest.mark.parametrize(
    "fields",
    [
        {"number": "5", "real": "0.5", "yes": "true", "nothing": "null", "empty": ""},
        {"quoted": 'say "hi"', "lines": "a\nb", "equals": "a=b", "tab": "a\tb", "back": "a\\b"},
        {"number": 5, "real": 0.5, "yes": True, "nothing": None, "umlaut": "für", "emoji": "a 😀"},
    ],
)
def test_fields_come_back_as_they_were(fields):
    (read,) = read_log([log_line(AT, "info", "m", fields)])
    assert read == {"at": "2027-01-15T08:00:00.123+00:00", "level": "info", "message": "m", "fields": fields}


def test_names_of_fields_never_break_the_line():
    (read,) = read_log([log_line(AT, "info", "m", {"a b=c\n": 1, "": 2})])
    assert read["fields"] == {"a_b_c_": 1, "_": 2}


def test_a_message_with_tabs_is_told_from_its_fields():
    lines = [log_line(AT, "info", "a\tb=1", {}), log_line(AT, "info", "a\tb=1", {"c": 2})]
    assert [(read["message"], read["fields"]) for read in read_log(lines)] == [("a\tb=1", {}), ("a\tb=1", {"c": 2})]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT


@given(st.lists(st.tuples(TEXT, st.dictionaries(st.from_regex("[a-z_]{1,5}", fullmatch=True), VALUE, max_size=3))))
def test_what_is_written_is_read_back(messages):
    text = "".join(log_line(AT, "info", message, fields) for message, fields in messages)
    read = list(read_log(f"{line}\n" for line in text.split("\n")[:-1]))
    assert [entry["fields"] for entry in read] == [fields for _, fields in messages]
    written = ["\n".join(["", *message.rstrip().split("\n")]) for message, _ in messages]
    assert [entry["message"].split() for entry in read] == [message.split() for message in written]
