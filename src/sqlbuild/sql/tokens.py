"""SQL text as tokens, without the parser: enough to skip comments and strings, and cheap enough for every model."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Rebuilt

_TOKEN = pattern(
    r"""
      (?P<blank>(?:\s++|--[^\n]*+)++)
    | (?P<comment>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]++|\\.|'')*+'?)
    | (?P<string>'(?:[^']++|'')*+'?)
    | (?P<quoted>"(?:[^"]++|"")*+"?)
    | (?P<dollar>\$(?:[^\W\d]\w*+)?\$)
    | (?P<word>[^\W\d][\w$]*+)
    | (?P<number>\.?\d(?:[\w.]|(?<=[eE])[+-])*)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = pattern(r"/\*|\*/")

_RESERVED = """
    all analyse analyze and anti any array as asc asof asymmetric at between both by case cast check collate column
    constraint create cross default deferrable desc describe distinct do else end except exclude exists false fetch for
    foreign from full group having ilike in initially inner intersect into is isnull join lateral leading left like
    limit materialized natural not notnull null offset on only or order outer over partition pivot pivot_longer
    pivot_wider placing positional primary qualify recursive references returning right select semi show similar some
    summarize symmetric table tablesample then to trailing true union unique unpivot using values variadic when where
    window with
"""
RESERVED_WORDS = frozenset(_RESERVED.split())
"""Words that cannot be an alias without quotes, in DuckDB or PostgreSQL."""


class TokenKind(enum.Enum):
    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    QUOTED = "quoted"
    """A name in double quotes."""
    MARK = "mark"
    """One character of punctuation or of an operator."""


class Token(NamedTuple):
    kind: TokenKind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class UnclosedText(Rebuilt):
    """A string, a quoted name or a comment that never ends; it starts at `offset`."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"this {what} is never closed")
        self.offset = offset


_KINDS = {
    "word": TokenKind.WORD,
    "number": TokenKind.NUMBER,
    "string": TokenKind.STRING,
    "escaped": TokenKind.STRING,
    "quoted": TokenKind.QUOTED,
    "mark": TokenKind.MARK,
}


def tokens(sql: str, start: int = 0) -> Iterator[Token]:
    """Everything in `sql` from `start` on but blanks and comments. Raises UnclosedText when it gets there."""
    position = start
    while found := _TOKEN.match(sql, position):
        group = found.lastgroup or "mark"
        begin, position = position, found.end()
        if group == "blank":
            continue
        if group == "comment":
            position = _end_of_comment(sql, begin)
        elif group == "dollar":
            closing = sql.find(found.group(), position)
            if closing < 0:
                raise UnclosedText("dollar-quoted string", begin)
            position = closing + len(found.group())
            yield Token(TokenKind.STRING, sql[begin:position], begin)
        else:
            text = found.group()
            if group in ("string", "escaped", "quoted") and not _is_closed(text):
                raise UnclosedText("quoted name" if group == "quoted" else "string", begin)
            yield Token(_KINDS[group], text, begin)


def _is_closed(text: str) -> bool:
    quote = text[1] if text[0] in "eE" else text[0]
    body = text[text.index(quote) + 1 :]
    if text[0] in "eE":
        body = re.sub(r"\\.", "", body, flags=re.DOTALL)
    return (len(body) - len(body.rstrip(quote))) % 2 == 1


def _end_of_comment(sql: str, start: int) -> int:
    """Comments nest, as in DuckDB and PostgreSQL."""
    depth, position = 0, start
    while edge := _COMMENT_EDGE.search(sql, position):
        position = edge.end()
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return position
    raise UnclosedText("comment", start)
