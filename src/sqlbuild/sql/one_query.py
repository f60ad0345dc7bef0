"""Text that is to stand in brackets as one query."""

from __future__ import annotations

from sqlbuild.errors import WarehouseError
from sqlbuild.sql.tokens import TokenKind, UnclosedText, tokens


def one_query(sql: str, *, asker: str = "an export") -> str:
    """`sql` without the semicolons at its end. Raises WarehouseError for text that could not stand in brackets.

    `asker` is who wants the query, for the message.
    """
    try:
        found = list(tokens(sql))
    except UnclosedText:
        return sql  # the database says what is wrong with it
    end = len(sql)
    while found and found[-1].text == ";":
        end = found.pop().start
    if not found:
        raise WarehouseError(f"there is no SQL for {asker}", sql=sql)
    depth = 0
    for token in found:
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0 or token.text == ";":
            raise WarehouseError(
                f"{asker} takes one query, not several statements", help="give one SELECT statement", sql=sql
            )
    return sql[:end]


def first_word(sql: str) -> str:
    """Of a statement, in lower case, whatever brackets and comments stand before it; empty if there is none."""
    try:
        for token in tokens(sql):
            if token.kind is TokenKind.WORD:
                return token.text.lower()
            if token.text != "(":
                break
    except UnclosedText:
        pass
    return ""
