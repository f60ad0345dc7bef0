from __future__ import annotations

import pytest

from sqlbuild.domain.events import WaitingForTarget
from sqlbuild.reporting.wording import (
    coloured,
    counted,
    first_few,
    one_line,
    safe_text,
    seconds_text,
    tenths_text,
    waiting_text,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0084, "8 ms"),
        (0.9994, "999 ms"),
        (0.9995, "1.00 s"),
        (1.234, "1.23 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 00 s"),
        (185, "3 m 05 s"),
        (3599.6, "1 h 00 m"),
        (7800, "2 h 10 m"),
        (4_000_000, "1,111 h 06 m"),
    ],
)
def test_a_duration_is_written_in_the_unit_that_fits(seconds, text):
    assert seconds_text(seconds) == text


def test_a_growing_duration_has_one_decimal_and_is_never_negative():
    assert [tenths_text(seconds) for seconds in (-3.0, 0.04, 2.55, 59.9, 61)] == [
        "0.0 s", "0.0 s", "2.5 s", "59.9 s", "1 m 01 s",
    ]  # fmt: skip


def test_text_without_control_characters_stays_as_it_is():
    text = "naïve café, 日本, tab\tand\nnewline"
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb", "a\\x0db"),
        ("a\r\nb", "a\nb"),
        ("bell\a nul\0", "bell\\x07 nul\\x00"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("right \u202e to left", "right \\u202e to left"),
        ("lone \ud800", "lone \\ud800"),
        ("para\u2029graph", "para\\u2029graph"),
    ],
)
def test_what_could_move_the_cursor_is_escaped(hostile, shown):
    assert safe_text(hostile) == shown


def test_a_huge_text_keeps_its_start_and_its_end():
    shown = safe_text("a" * 5_000 + "z" * 5_000, 4_000)
    assert shown.startswith("aaa")
    assert shown.endswith("zzz")
    assert "[... 6,000 characters left out ...]" in shown
    assert len(shown) < 4_100


def test_one_line_folds_every_kind_of_space_and_cuts():
    assert one_line("  a\n\tb\r\n c ") == "a b c"
    assert one_line("x" * 300, 10) == "xxxxxxx..."
    assert one_line("\x1b" * 100, 10) == "\\x1b\\x1..."
    assert len(one_line("word " * 1_000_000, 200)) == 200


def test_counts_and_lists_of_names_are_readable():
    assert [counted(1, "node"), counted(2000, "node"), counted(0, "entry", "entries")] == [
        "1 node", "2,000 nodes", "0 entries",
    ]  # fmt: skip
    assert first_few(["a", "b"]) == "a, b"
    assert first_few([f"n{number}" for number in range(1_005)], 3) == "n0, n1, n2 and 1,002 more"


def test_colour_surrounds_the_text():
    assert coloured("failed", "bad") == "\x1b[31mfailed\x1b[0m"


def test_waiting_for_a_target_is_told_with_its_limit():
    assert waiting_text(WaitingForTarget(0.0, "held by run r1", 0.0, 60.0)) == "waiting up to 60 s: held by run r1"
    assert waiting_text(WaitingForTarget(0.0, "held\nby", 10.04, 60.0)) == "still waiting (10 of 60 s): held by"
