"""Whether a statement only reads, by its words: a dry run refuses everything else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlbuild.errors import WarehouseError
from sqlbuild.sql.tokens import Token, TokenKind, UnclosedText, tokens

_READING = frozenset({"select", "from", "with", "values", "table", "describe", "desc", "show", "summarize", "pivot"})
_WRITING = frozenset({"insert", "update", "delete", "merge"})


def refuse_writing(sql: str) -> None:
    """Raises WarehouseError for a statement that does more than read; what is not SQL is left to the warehouse."""
    try:
        statements = list(_statements(tokens(sql)))
    except UnclosedText:
        return
    for statement in statements:
        if not _only_reads(statement):
            raise WarehouseError(
                f"a dry run only reads, and this statement begins with {statement[0].text.upper()}",
                help="return before it where ctx.dry_run is true",
                sql=sql,
            )


def _statements(found: Iterable[Token]) -> Iterator[list[Token]]:
    statement: list[Token] = []
    for token in found:
        if token.text == ";":
            if statement:
                yield statement
            statement = []
        else:
            statement.append(token)
    if statement:
        yield statement


def _only_reads(statement: list[Token]) -> bool:
    first = _word(statement[0]) if statement[0].text != "(" else "select"
    if first == "explain":
        # EXPLAIN ANALYZE runs what it explains.
        rest = [token for token in statement[1:] if _word(token) not in ("analyze", "verbose")]
        return bool(rest) and _only_reads(rest)
    if first == "with":
        return not any(_word(token) in _WRITING for token in _outside_of_brackets(statement))
    return first in _READING


def _outside_of_brackets(statement: list[Token]) -> Iterator[Token]:
    depth = 0
    for token in statement:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            yield token


def _word(token: Token) -> str:
    return token.text.lower() if token.kind is TokenKind.WORD else ""
