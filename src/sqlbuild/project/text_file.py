"""A text file of the project, and the places in it."""

from __future__ import annotations

import bisect
from pathlib import Path

from sqlbuild.domain.ids import Place
from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Problem

_NEWLINE = pattern("\n")


class TextFile:
    """The text of one file with `\\n` line ends; `path` is relative to the project root, with forward slashes."""

    __slots__ = ("_newlines", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._newlines: list[int] | None = None

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Both count from 1; the column in characters."""
        if self._newlines is None:
            self._newlines = [found.start() for found in _NEWLINE.finditer(self.text)]
        line = bisect.bisect_left(self._newlines, offset)
        start = self._newlines[line - 1] + 1 if line else 0
        return line + 1, offset - start + 1

    def place(self, offset: int | None) -> Place:
        if offset is None:
            return Place(self.path)
        return Place(self.path, *self.line_and_column(offset))

    def problem(
        self, code: str, message: str, help: str, offset: int | None = None, *, severity: str = "error"
    ) -> Problem:
        """A problem at `offset`, or with the file as a whole."""
        line, column = (None, None) if offset is None else self.line_and_column(offset)
        return Problem(
            code=code, message=message, help=help, path=self.path, line=line, column=column, severity=severity
        )


def read_text_file(root: Path, path: str, problems: list[Problem]) -> TextFile | None:
    """The file at `path` under `root`; None if it cannot be read.

    A file that is not UTF-8 is a problem too, but what can be read of it is returned, so that its name stays known.
    """
    try:
        with open(f"{root}/{path}", "rb", buffering=0) as file:
            content = file.read()
    except OSError as error:
        problems.append(
            Problem(
                code="FILE",
                message=f"the file cannot be read: {error.strerror or error}",
                help="check that it exists and that you may read it",
                path=path,
            )
        )
        return None
    return decode_text(path, content, problems)


def decode_text(path: str, content: bytes, problems: list[Problem]) -> TextFile:
    """`content` without byte order mark and with `\\n` line ends; bytes that are not UTF-8 are a problem."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        text = content.decode(errors="replace")
        before = content[: error.start].decode()
        problems.append(
            Problem(
                code="ENCODING",
                message=f"the file is not UTF-8: byte 0x{content[error.start]:02x}",
                help="save the file in the encoding UTF-8",
                path=path,
                line=before.count("\n") + 1,
                column=len(before) - before.rfind("\n"),
            )
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return TextFile(path, text)
