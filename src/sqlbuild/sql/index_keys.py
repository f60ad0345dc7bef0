"""What stands in an index, as SQL text: columns and expressions. Without the parser."""

from __future__ import annotations

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.relation_options import Index
from sqlbuild.sql.tokens import RESERVED_WORDS, TokenKind, UnclosedText, tokens

_CLOSING = {"(": ")", "[": "]"}
_COMMENT = pattern(r"--|/\*")
_ORDER = frozenset(["asc", "desc", "nulls", "first", "last"])


def is_one_expression(text: str) -> bool:
    """Whether `text` can stand in brackets without ending them: balanced, with no comment, comma or semicolon outside."""
    open_brackets: list[str] = []
    end = 0
    try:
        for token in tokens(text):
            if _COMMENT.search(text, end, token.start):
                return False
            end = token.end
            if token.kind is not TokenKind.MARK:
                continue
            if token.text in _CLOSING:
                open_brackets.append(_CLOSING[token.text])
            elif token.text in ")]":
                if not open_brackets or open_brackets.pop() != token.text:
                    return False
            elif token.text == ";" or (token.text == "," and not open_brackets):
                return False
    except UnclosedText:
        return False
    return not open_brackets and end > 0 and _COMMENT.search(text, end) is None


def name_of_key(text: str) -> str | None:
    """The column that an index key begins with, as it is written but without quotes; None for an expression."""
    found = list(tokens(text))
    if not found or (len(found) > 1 and found[1].kind is not TokenKind.WORD):
        return None
    first = found[0]
    if first.kind is TokenKind.QUOTED:
        return first.text[1:-1].replace('""', '"')
    if first.kind is TokenKind.WORD and first.text.lower() not in RESERVED_WORDS:
        return first.text
    return None


def is_quoted_key(text: str) -> bool:
    """Whether a key begins with a name in double quotes."""
    return text.lstrip().startswith('"')


def duckdb_can_make(index: Index) -> bool:
    """DuckDB has indexes of columns and expressions, unique or not; their order it accepts and forgets."""
    return (
        index.where is None
        and index.using in (None, "art")
        and not index.include
        and all(map(_has_only_an_order, index.columns))
    )


def _has_only_an_order(key: str) -> bool:
    """Whether behind a column or expression stands no collation and no operator class."""
    depth = 0
    for place, token in enumerate(tokens(key)):
        if token.kind is TokenKind.MARK:
            depth += (token.text in _CLOSING) - (token.text in ")]")
        elif place and not depth and token.text.lower() not in _ORDER:
            return False
    return True
