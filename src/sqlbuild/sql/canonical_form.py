"""SQL text in the form that fingerprints are made of."""

from __future__ import annotations

import re

from sqlbuild.domain.pattern import pattern
from sqlbuild.sql.tokens import RESERVED_WORDS, TokenKind, UnclosedText, tokens

_PLAIN_TOKEN = pattern(
    r"""--[^\n]*+|[eE]'(?:[^'\\]++|\\.|'')*+'|'(?:[^']++|'')*+'|"(?:[^"]++|"")*+"|[^\W\d][\w$]*+"""
    r"""|\.?\d(?:[\w.]|(?<=[eE])[+-])*|\S""",
    re.DOTALL,
)
"""A token of SQL in which no `/*` comment and no dollar-quoted text can stand."""


def canonical_form(sql: str) -> str:
    """`sql` without comments, with one blank between tokens and reserved words in lower case.

    Two texts with one canonical form mean the same to the warehouse. It is made of tokens and not of parsed SQL, so
    that a new version of the parser changes no fingerprint. Text that cannot be read as tokens is its own form.
    """
    if "/*" in sql or "$" in sql:
        try:
            found = [_reserved_in_lower_case(each.text, each.kind is TokenKind.WORD) for each in tokens(sql)]
        except UnclosedText:
            return sql
    else:
        # Three times as fast as `tokens`, and that matters: it is done for every model that changed.
        found = _PLAIN_TOKEN.findall(sql)
        forms = {each: _reserved_in_lower_case(each, each[0].isalpha()) for each in set(found)}
        if "'" in forms or '"' in forms:
            return sql
        found = [forms[each] for each in found]
        if "--" in sql:
            found = [each for each in found if not each.startswith("--")]
    while found and found[-1] == ";":
        found.pop()
    return " ".join(found)


def _reserved_in_lower_case(token: str, is_word: bool) -> str:
    return lowered if is_word and (lowered := token.lower()) in RESERVED_WORDS else token
