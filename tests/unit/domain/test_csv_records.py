from __future__ import annotations

import io

import pytest

from sqlbuild.domain.csv_records import MalformedCsv, csv_records, undecodable
from sqlbuild.domain.csv_settings import CsvSettings


def records(text, **settings):
    return list(csv_records(io.StringIO(text, newline=""), CsvSettings(**settings)))


def test_each_record_has_the_line_it_begins_on():
    text = 'a,b\r\n"1\r\n1",2\r\n\r\n3,"x ""y"""\r\n'
    assert records(text) == [(1, ["a", "b"]), (2, ["1\r\n1", "2"]), (5, ["3", 'x "y"'])]


def test_lines_may_end_with_a_return_or_with_nothing():
    assert records("a\r1\r2") == [(1, ["a"]), (2, ["1"]), (3, ["2"])]
    assert records("") == []


def test_a_terminator_of_its_own_may_stand_in_quotes_and_leaves_line_ends_alone():
    text = 'a,b|1,"x|y"|"2\r\n",3\n|'
    found = records(text, lineterminator="|")
    assert [fields for _, fields in found] == [["a", "b"], ["1", "x|y"], ["2\r\n", "3\n"]]


def test_without_quotes_a_quote_is_text():
    assert records('a\n"x\n', quotechar="") == [(1, ["a"]), (2, ['"x'])]


def test_quotes_may_be_escaped():
    text = 'a\n"x \\" y"\n'
    assert records(text, doublequote=False, escapechar="\\") == [(1, ["a"]), (2, ['x " y'])]


def test_a_field_may_be_long():
    assert records("a\n" + "x" * 200_000)[1] == (2, ["x" * 200_000])


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('a\n1\n"2\n3\n', 3, 'the file ends inside a field whose " is never closed'),
        ('a\n"x" y\n', 2, 'text follows the " that closes a field'),
    ],
)
def test_what_is_no_csv_is_told_with_the_line_of_its_record(text, line, message):
    with pytest.raises(MalformedCsv) as raised:
        records(text)
    assert (str(raised.value), raised.value.line) == (message, line)
    assert raised.value.help


def test_the_line_of_bytes_that_are_no_text_is_found():
    assert undecodable(b"a\nb\xe4\n", "utf-8") == (2, "byte 0xe4")
    assert undecodable(b"\xff", "ascii") == (1, "byte 0xff")
