"""The records of a CSV text, each with the line it begins on. Reads no files."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.errors import Rebuilt

if TYPE_CHECKING:
    import _csv

# What no decoded text holds stands for the line ends of a text whose records end with something else.
_NEWLINE, _RETURN = "\ud800", "\ud801"


class MalformedCsv(Rebuilt):
    """`line` counts from 1."""

    def __init__(self, line: int, message: str, help: str) -> None:
        super().__init__(message)
        self.line = line
        self.help = help


def csv_records(lines: Iterable[str], settings: CsvSettings) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of every record; lines with nothing on them are none.

    `lines` keep their ends as they are. A quoted field may go over several. Raises MalformedCsv with the line on which
    the record begins, and whatever reading `lines` raises.
    """
    for line, (record,) in csv_batches(lines, settings, 1):
        if record:
            yield line, record


def csv_batches(lines: Iterable[str], settings: CsvSettings, size: int) -> Iterator[tuple[int, list[list[str]]]]:
    """The same in batches of at most `size` records, each with the line on which its first one begins; lines with nothing on
    them are empty records. MalformedCsv has the line on which the batch begins."""
    ending, back = settings.lineterminator, {}
    if ending is not None:
        there = str.maketrans({"\n": _NEWLINE, "\r": _RETURN, ending: "\n"})
        back = str.maketrans({_NEWLINE: "\n", _RETURN: "\r", "\n": ending})
        lines = io.StringIO("".join(lines).translate(there))
    reader = _reader(lines, settings)
    line = 1
    while True:
        try:
            records = list(itertools.islice(reader, size))
        except csv.Error as error:
            raise _malformed(error, line, settings) from error
        if not records:
            return
        following = reader.line_num + 1
        if back:
            records = [[field.translate(back) for field in record] for record in records]
        yield line, records
        line = following


def line_of_record(first_line: int, records: Iterable[Sequence[str]], index: int, settings: CsvSettings) -> int:
    """The line on which a record of a batch begins."""
    ends = re.compile(re.escape(settings.lineterminator) if settings.lineterminator else "\r\n|\r|\n")
    before = itertools.islice(records, index)
    return first_line + sum(1 + sum(len(ends.findall(field)) for field in record) for record in before)


def undecodable(content: bytes, encoding: str) -> tuple[int, str]:
    """Where bytes are none of their encoding: the line, and the first such byte in words."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, errors="replace")
        return len(f"{before}.".splitlines()), f"byte 0x{content[error.start]:02x}"
    except UnicodeError as error:
        return 1, str(error)
    return 1, "changed meanwhile"


def _reader(lines: Iterable[str], settings: CsvSettings) -> _csv.Reader:
    # The limit is one of the whole process, and would refuse a field that every warehouse takes.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    return csv.reader(
        lines,
        delimiter=settings.delimiter,
        quotechar=settings.quotechar or None,
        quoting=csv.QUOTE_MINIMAL if settings.quotechar else csv.QUOTE_NONE,
        doublequote=settings.doublequote,
        escapechar=settings.escapechar,
        skipinitialspace=settings.skipinitialspace,
        strict=True,
    )


def _malformed(error: csv.Error, line: int, settings: CsvSettings) -> MalformedCsv:
    said, quote = str(error), settings.quotechar
    if "unexpected end" in said:
        what = f"the file ends inside a field whose {quote} is never closed" if quote else "the file ends too early"
        return MalformedCsv(line, what, f"close it, or double a {quote} that belongs to the text")
    if "expected after" in said:
        return MalformedCsv(
            line,
            f"text follows the {quote} that closes a field",
            f"double every {quote} inside of a quoted field, or set csv_settings.quotechar or csv_settings.escapechar",
        )
    return MalformedCsv(line, f"this is no CSV: {said}", "see csv_settings for how the file may be written")
