"""Tables that SQL names: what stands behind FROM, JOIN, INTO and UPDATE, as far as that is sure without a parser."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.project.sql_text import Unclosed, end_of_comment, end_of_quoted

HOLE = "\0"
"""Stands in a text for a part that is not known."""

_PART = r'(?:[^\W\d][\w$]*+|"(?:[^"\0]++|"")++")'
_TOKEN = pattern(
    rf"""(?P<comment>/\*)|(?P<line>--[^\n]*+)|(?P<quote>['$])|(?P<name>{_PART}(?:\s*+\.\s*+{_PART})*+)|(?P<other>\S)"""
)
_PARTS = pattern(_PART)
_BEFORE_TABLES = frozenset({"from", "join", "into", "update"})
_BETWEEN = frozenset({"only", "lateral"})
_NOT_OF_TABLES = frozenset({"extract", "substring", "trim", "overlay", "position"})
"""Functions with a FROM among their arguments."""
_CLAUSES = frozenset(
    [
        "select",
        "where",
        "group",
        "order",
        "having",
        "limit",
        "offset",
        "set",
        "values",
        "on",
        "using",
        "union",
        "except",
        "intersect",
        "window",
        "qualify",
        "returning",
        "with",
    ]
)
_CTE = pattern(rf"({_PART})\s*+(?:\([^()]*+\)\s*+)?AS\s++(?:(?:NOT\s++)?MATERIALIZED\s*+)?\(", re.IGNORECASE)


@record(frozen=True, slots=True, kw_only=True)
class TableName:
    """`parts` without quotes, those that were written without quotes in lower case; `start` and `end` are where it stands."""

    parts: tuple[str, ...]
    start: int
    end: int
    is_read: bool


def tables_named(sql: str) -> tuple[TableName, ...]:
    """Left out is what the statement itself defines, what is part of a name with a `HOLE` and what is called as a function."""
    local = {_parts(found[1]) for found in _CTE.finditer(sql)}
    try:
        return tuple(found for found in _Scan(sql).tables() if found.parts not in local)
    except Unclosed:
        return ()


def _parts(written: str) -> tuple[str, ...]:
    return tuple(part[1:-1].replace('""', '"') if part[0] == '"' else part.lower() for part in _PARTS.findall(written))


class _Scan:
    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._awaited = ""
        """The word behind which a table is to come."""
        self._before = ""
        self._clauses = [""]
        """Of the brackets that are open: which clause this is."""
        self._in_function = [False]

    def tables(self) -> Iterator[TableName]:
        position = 0
        while found := _TOKEN.search(self._sql, position):
            position = found.end()
            match found.lastgroup:
                case "comment":
                    position = end_of_comment(self._sql, found.start())
                case "line":
                    pass
                case "quote":
                    position = end_of_quoted(self._sql, found.start())
                    self._before, self._awaited = "", ""
                case "name":
                    table = self._name(found)
                    if table is not None:
                        yield table
                case _:
                    self._sign(found.group())

    def _name(self, found: re.Match[str]) -> TableName | None:
        written = found.group()
        word = written.lower()
        before, self._before = self._before, word
        if word in _BEFORE_TABLES:
            self._begin(word, before)
            return None
        if word in _BETWEEN and self._awaited:
            return None
        if word in _CLAUSES:
            self._clauses[-1], self._awaited = word, ""
            return None
        awaited, self._awaited = self._awaited, ""
        if not awaited or not self._is_whole(found, awaited):
            return None
        is_read = awaited in ("from", "join")
        return TableName(parts=_parts(written), start=found.start(), end=found.end(), is_read=is_read)

    def _begin(self, word: str, before: str) -> None:
        self._awaited = ""
        # FOR UPDATE, DO UPDATE and ON CONFLICT ... name no table, IS DISTINCT FROM and EXTRACT(... FROM ...) compare and compute.
        if word == "update" and before in ("for", "do", "key"):
            return
        if word == "from" and (before == "distinct" or self._in_function[-1]):
            return
        self._awaited = "delete from" if word == "from" and before == "delete" else word
        self._clauses[-1] = "from" if self._awaited in ("from", "join") else word

    def _is_whole(self, found: re.Match[str], awaited: str) -> bool:
        rest = self._sql[found.end() :]
        if rest[:1] in (HOLE, ".", "{", "%") or self._sql[found.start() - 1 : found.start()] in (HOLE, "}"):
            return False
        stripped = rest.lstrip()
        if stripped[:1] == ".":
            return False
        return stripped[:1] != "(" or awaited not in ("from", "join")

    def _sign(self, sign: str) -> None:
        if sign == "(":
            self._clauses.append("")
            self._in_function.append(self._before in _NOT_OF_TABLES)
        elif sign == ")" and len(self._clauses) > 1:
            self._clauses.pop()
            self._in_function.pop()
        self._awaited = "from" if sign == "," and self._clauses[-1] == "from" else ""
        self._before = ""
