from __future__ import annotations

from pathlib import Path

from sqlbuild.domain.ids import Place
from sqlbuild.project.text_file import TextFile, decode_text, read_text_file


def test_a_byte_order_mark_and_windows_line_ends_are_taken_away():
    file = decode_text("a.sql", b"\xef\xbb\xbfSELECT\r\n1\rAS x", [])
    assert file.text == "SELECT\n1\nAS x"


def test_places_count_lines_and_characters_from_one():
    file = TextFile("a.sql", "é x\n\nlast")
    assert [file.line_and_column(offset) for offset in (0, 2, 3, 4, 5, 9)] == [
        (1, 1),
        (1, 3),
        (1, 4),
        (2, 1),
        (3, 1),
        (3, 5),
    ]
    assert file.place(5) == Place("a.sql", 3, 1)
    assert file.place(None) == Place("a.sql")


def test_bytes_that_are_not_utf_8_are_a_problem_and_the_rest_is_kept():
    problems = []
    file = decode_text("a.sql", "SELECT 1;\n-- é ".encode() + b"\xe9 x", problems)
    assert [str(problem) for problem in problems] == [
        "error[ENCODING] a.sql:2:6: the file is not UTF-8: byte 0xe9\n  help: save the file in the encoding UTF-8"
    ]
    assert file.text == "SELECT 1;\n-- é \ufffd x"


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path):
    problems = []
    assert read_text_file(tmp_path, "a.sql", problems) is None
    assert str(problems[0]) == (
        "error[FILE] a.sql: the file cannot be read: No such file or directory\n"
        "  help: check that it exists and that you may read it"
    )
