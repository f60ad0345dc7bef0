from __future__ import annotations

from sqlbuild.cli.text_table import fitted, table_lines


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    rows = [("a", "1", "x"), ("long name", "1,200", "")]
    assert table_lines(("name", "rows", "note"), rows, right=frozenset({1})) == [
        "name        rows  note",
        "a              1  x",
        "long name  1,200",
    ]


def test_wide_and_combining_characters_keep_the_columns_straight():
    assert table_lines(("n", "v"), [("日本", "1"), ("e\u0301", "2")]) == ["n     v", "日本  1", "e\u0301     2"]


def test_a_cell_is_one_bounded_line_without_control_characters():
    [_, line] = table_lines(("a",), [("x\n\x1b[2J" + "y" * 500,)])
    assert line.startswith("x \\x1b[2Jyyy")
    assert len(line) == 60


def test_a_table_without_rows_has_its_headers():
    assert table_lines(("a", "b"), []) == ["a  b"]


def test_lines_are_cut_to_the_terminal_and_left_alone_without_one():
    lines = ["a long line", "short", "日本日本日本"]
    assert fitted(lines, None) == lines
    assert fitted(lines, 8) == ["a lon...", "short", "日本..."]
    assert fitted(lines, 2) == ["..", "..", ".."]
