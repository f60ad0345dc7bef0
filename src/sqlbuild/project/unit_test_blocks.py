"""The outline of a file of unit tests: its TEST blocks, and the CTEs of each."""

from __future__ import annotations

import re

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem, Rebuilt
from sqlbuild.project.header_grammar import parse_header
from sqlbuild.project.located import Located
from sqlbuild.project.sql_text import Unclosed, end_of_comment, end_of_quoted, skip_blank
from sqlbuild.project.text_file import TextFile

_HEADER = pattern(r"TEST\s*+(?=\()", re.IGNORECASE)
_WITH = pattern(r"WITH\b", re.IGNORECASE | re.ASCII)
_RECURSIVE = pattern(r"RECURSIVE\b", re.IGNORECASE | re.ASCII)
_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_]*+(?![\w$])")
_AS = pattern(r"AS\b", re.IGNORECASE | re.ASCII)
_HINT = pattern(r"(?:NOT\s++)?MATERIALIZED\b", re.IGNORECASE | re.ASCII)
_SELECT_1 = pattern(r"SELECT\s++1\b(?!\s*+[,.+*/()-])", re.IGNORECASE)
_STOP = pattern(r"""['"$()]|--[^\n]*+|/\*""")
_SHOWN = 30


@record(frozen=True, slots=True, kw_only=True)
class CteText:
    """Where a CTE stands in its file: its name, its list of columns, and what is between its brackets."""

    name: str
    offset: int
    columns: str
    start: int
    end: int


@record(frozen=True, slots=True, kw_only=True)
class Block:
    """One TEST header with what follows it."""

    offset: int
    entries: Located
    ctes: tuple[CteText, ...]
    is_recursive: bool


class _Wrong(Rebuilt):
    def __init__(self, offset: int, message: str, help: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.help = help


def read_blocks(file: TextFile, problems: list[Problem]) -> list[Block]:
    """The blocks of a file, up to the first error, which is a problem."""
    blocks: list[Block] = []
    try:
        position = skip_blank(file.text, 0)
        while not blocks or position < len(file.text):
            header = _HEADER.match(file.text, position)
            if header is None:
                raise _no_header(file.text, position, is_first=not blocks)
            parsed = parse_header(file, header.end(), problems)
            if parsed.end is None:
                break
            ctes, is_recursive, following = _ctes(file.text, parsed.end)
            blocks.append(Block(offset=position, entries=parsed.entries, ctes=ctes, is_recursive=is_recursive))
            position = following
    except (_Wrong, Unclosed) as error:
        problems.append(file.problem("TEST_SYNTAX", str(error), error.help, error.offset))
    return blocks


def _no_header(text: str, position: int, *, is_first: bool) -> _Wrong:
    if is_first:
        return _Wrong(position, "a test begins with its header", "write TEST(); before the WITH")
    if _NAME.match(text, position) and text[position : position + 6].upper() != "SELECT":
        return _Wrong(
            position,
            f"`{_shown(text, position)}` follows the last CTE",
            "put a comma between two CTEs, and a TEST (name ...); before another test",
        )
    return _Wrong(
        position, f"`{_shown(text, position)}` follows the last CTE", "nothing but SELECT 1 may stand there; remove it"
    )


def _ctes(text: str, start: int) -> tuple[tuple[CteText, ...], bool, int]:
    """The CTEs from `start` on, whether they may be recursive, and the offset of the next block or of the end."""
    position = skip_blank(text, start)
    begin = _WITH.match(text, position)
    if begin is None:
        raise _Wrong(position, "a WITH is expected behind the header", "write WITH and the CTEs of the test")
    position = skip_blank(text, begin.end())
    recursive = _RECURSIVE.match(text, position)
    if recursive is not None:
        position = skip_blank(text, recursive.end())
    found: list[CteText] = []
    while True:
        cte = _cte(text, position)
        found.append(cte)
        position = skip_blank(text, cte.end + 1)
        if not text.startswith(",", position):
            break
        position = skip_blank(text, position + 1)
    select = _SELECT_1.match(text, position)
    if select is not None:
        position = skip_blank(text, select.end())
    while text.startswith(";", position):
        position = skip_blank(text, position + 1)
    return tuple(found), recursive is not None, position


def _cte(text: str, start: int) -> CteText:
    name = _NAME.match(text, start)
    if name is None:
        raise _no_name(text, start)
    position = skip_blank(text, name.end())
    columns = ""
    if text.startswith("(", position):
        end = _end_of_brackets(text, position)
        columns, position = text[position:end], skip_blank(text, end)
    keyword = _AS.match(text, position)
    if keyword is None:
        raise _Wrong(position, f"AS is expected behind `{name.group()}`", f"write {name.group()} AS (SELECT ...)")
    position = skip_blank(text, keyword.end())
    if _HINT.match(text, position):
        raise _Wrong(position, f"{name.group()} has a hint on its materialization", "leave it out: write AS (...)")
    if not text.startswith("(", position):
        raise _Wrong(position, f"a bracket is expected behind `{name.group()} AS`", "write the query in brackets")
    end = _end_of_brackets(text, position)
    return CteText(name=name.group(), offset=start, columns=columns, start=position + 1, end=end - 1)


def _no_name(text: str, start: int) -> _Wrong:
    here = text[start : start + 1]
    if here in ('"', "`"):
        help = "write it without quotes: a letter or _, then letters, digits and _"
        return _Wrong(start, "the name of a CTE of a test stands in quotes", help)
    if here == "@":
        return _Wrong(start, "a macro cannot give CTEs to a test", "write each CTE as name AS (SELECT ...)")
    if not here or _HEADER.match(text, start):
        return _Wrong(start, "a CTE is expected behind this comma", "remove the comma before it")
    help = "a name is a letter or _, then letters, digits and _"
    return _Wrong(start, f"`{_shown(text, start)}` is no name for a CTE of a test", help)


def _shown(text: str, start: int) -> str:
    words = text[start : start + 2 * _SHOWN].split("\n")[0].strip()
    return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 3]}..."


def _end_of_brackets(text: str, start: int) -> int:
    """The offset behind the bracket that closes the one at `start`. Raises Unclosed."""
    depth, position = 0, start
    while stop := _STOP.search(text, position):
        here, position = stop.group(), stop.end()
        if here == "(":
            depth += 1
        elif here == ")":
            depth -= 1
            if depth == 0:
                return position
        elif here == "/*":
            position = end_of_comment(text, stop.start())
        elif here in ("'", '"', "$"):
            position = end_of_quoted(text, stop.start())
    raise Unclosed("(", start, "close it with )")
