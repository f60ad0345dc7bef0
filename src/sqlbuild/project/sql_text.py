"""Blank space, comments and quoted texts of SQL, by offsets."""

from __future__ import annotations

import re

from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Rebuilt

_BLANK = pattern(r"(?:\s++|--[^\n]*+)*+")
_COMMENT_EDGE = pattern(r"/\*|\*/")
_PLAIN_STRING = pattern(r"'(?:[^']++|'')*+'", re.DOTALL)
_ESCAPE_STRING = pattern(r"'(?:[^'\\]++|\\.|'')*+'", re.DOTALL)
_QUOTED_NAME = pattern(r'"(?:[^"]++|"")*+"', re.DOTALL)
_DOLLAR_TAG = pattern(r"\$(?:[^\W\d]\w*)?\$")


class Unclosed(Rebuilt):
    """A comment or quoted text that starts at `offset` never ends."""

    def __init__(self, what: str, offset: int, help: str) -> None:
        super().__init__(f"this {what} is never closed")
        self.offset = offset
        self.help = help


def end_of_comment(text: str, start: int) -> int:
    """The offset behind the `/* */` comment that begins at `start`; comments nest. Raises Unclosed."""
    depth, position = 0, start
    while edge := _COMMENT_EDGE.search(text, position):
        position = edge.end()
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return position
    raise Unclosed("comment", start, "end it with */")


def skip_blank(text: str, start: int) -> int:
    """The offset of the first character at or after `start` that is no blank and no comment. Raises Unclosed."""
    while found := _BLANK.match(text, start):
        start = found.end()
        if not text.startswith("/*", start):
            break
        start = end_of_comment(text, start)
    return start


def start_of_text(text: str) -> int:
    """The same for a whole text; where a comment begins that never ends, if that is before anything else."""
    try:
        return skip_blank(text, 0)
    except Unclosed as unclosed:
        return unclosed.offset


def end_of_quoted(text: str, start: int) -> int:
    """The offset behind the string, escape string, quoted name or dollar-quoted text whose first quote is at `start`.

    A dollar sign that opens nothing ends right behind itself. Raises Unclosed.
    """
    match text[start]:
        case '"':
            found, what, help = _QUOTED_NAME.match(text, start), "quoted name", 'end it with "'
        case "'":
            pattern = _ESCAPE_STRING if _is_escape_string(text, start) else _PLAIN_STRING
            found, what, help = pattern.match(text, start), "string", "end it with '"
        case _:
            return _end_of_dollar_quoted(text, start)
    if found is None:
        raise Unclosed(what, start, help)
    return found.end()


def _is_escape_string(text: str, quote: int) -> bool:
    return quote > 0 and text[quote - 1] in "eE" and not (quote > 1 and is_word(text[quote - 2]))


def _end_of_dollar_quoted(text: str, start: int) -> int:
    tag = _DOLLAR_TAG.match(text, start)
    if tag is None or (start > 0 and is_word(text[start - 1])):
        return start + 1
    end = text.find(tag.group(), tag.end())
    if end < 0:
        raise Unclosed("dollar-quoted text", start, f"end it with {tag.group()}")
    return end + len(tag.group())


def is_word(character: str) -> bool:
    return character.isalnum() or character in "_$"
