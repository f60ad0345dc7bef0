"""The records of a CSV text, each with the line it begins on. Reads no files."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator

from sqlbuild.domain.csv_settings import CsvSettings

# What no decoded text holds stands for the line ends of a text whose records end with something else.
_NEWLINE, _RETURN = "\ud800", "\ud801"


class MalformedCsv(Exception):
    """`line` counts from 1."""

    def __init__(self, line: int, message: str, help: str) -> None:
        super().__init__(message)
        self.line = line
        self.help = help


def csv_records(lines: Iterable[str], settings: CsvSettings) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of every record; lines with nothing on them are none.

    `lines` keep their ends as they are. A quoted field may go over several. Raises MalformedCsv, and whatever reading
    `lines` raises.
    """
    ending = settings.lineterminator
    if ending is not None:
        there = str.maketrans({"\n": _NEWLINE, "\r": _RETURN, ending: "\n"})
        back = str.maketrans({_NEWLINE: "\n", _RETURN: "\r", "\n": ending})
        lines = io.StringIO("".join(lines).translate(there))
        for line, fields in _records(lines, settings):
            yield line, [field.translate(back) for field in fields]
    else:
        yield from _records(lines, settings)


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


def _records(lines: Iterable[str], settings: CsvSettings) -> Iterator[tuple[int, list[str]]]:
    # The limit is one of the whole process, and would refuse a field that every warehouse takes.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(
        lines,
        delimiter=settings.delimiter,
        quotechar=settings.quotechar or None,
        quoting=csv.QUOTE_MINIMAL if settings.quotechar else csv.QUOTE_NONE,
        doublequote=settings.doublequote,
        escapechar=settings.escapechar,
        skipinitialspace=settings.skipinitialspace,
        strict=True,
    )
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _malformed(error, line, settings) from error
        if fields:
            yield line, fields


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
