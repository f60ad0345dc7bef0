"""SQL text in the form that fingerprints are made of."""

from __future__ import annotations

from sqlbuild.sql.tokens import RESERVED_WORDS, TokenKind, UnclosedText, tokens


def canonical_form(sql: str) -> str:
    """`sql` without comments, with one blank between tokens and reserved words in lower case.

    Two texts with one canonical form mean the same to the warehouse. It is made of tokens and not of parsed SQL, so
    that a new version of the parser changes no fingerprint. Text that cannot be read as tokens is its own form.
    """
    found = []
    try:
        for token in tokens(sql):
            text = token.text
            if token.kind is TokenKind.WORD and (lowered := text.lower()) in RESERVED_WORDS:
                text = lowered
            found.append(text)
    except UnclosedText:
        return sql
    while found and found[-1] == ";":
        found.pop()
    return " ".join(found)
