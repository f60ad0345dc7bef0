"""Parameters of a statement as PostgreSQL takes them: `$1`, `$2`, whatever the author wrote."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from sqlbuild.errors import WarehouseError
from sqlbuild.sql.tokens import Token, TokenKind, UnclosedText, tokens

_OPERATORS = frozenset("+-*/<>=~!@#%^&|`?")
"""What an operator is made of in PostgreSQL: `?` beside one of these belongs to it."""


def numbered_parameters(
    sql: str, parameters: Sequence[object] | Mapping[str, object] | None
) -> tuple[str, tuple[object, ...]]:
    """`sql` with `$1`, `$2` in place of `?` or `$name`, and the values in that order.

    `?` is a parameter only if there are as many of them as values and no `$1`: PostgreSQL has operators called so.
    Raises WarehouseError for names without a value and values without a name.
    """
    if parameters is None:
        return sql, ()
    if isinstance(parameters, str | bytes):
        raise WarehouseError(
            f"the parameters of a statement are a list or a mapping, not {type(parameters).__name__}",
            help="write [value] for a single one",
        )
    try:
        found = list(tokens(sql))
    except UnclosedText:
        found = []
    if isinstance(parameters, Mapping):
        return _by_name(sql, found, parameters)
    values = tuple(parameters)
    if any(after.kind is TokenKind.NUMBER for _, after in _behind_dollars(found)):
        return sql, values
    places = [token.start for at, token in enumerate(found) if token.text == "?" and not _is_operator(found, at)]
    if len(places) != len(values):
        return sql, values
    return _replaced(sql, [(place, place + 1, f"${number}") for number, place in enumerate(places, 1)]), values


def with_literals(sql: str, literals: Sequence[str]) -> str:
    """`sql` with the first of them in place of `$1`, and so on: for statements that take no parameters."""
    try:
        found = list(tokens(sql))
    except UnclosedText:
        return sql
    edits = [
        (dollar.start, number.end, literals[int(number.text) - 1])
        for dollar, number in _behind_dollars(found)
        if number.text.isdecimal() and 0 < int(number.text) <= len(literals)
    ]
    return _replaced(sql, edits)


def _by_name(sql: str, found: Sequence[Token], parameters: Mapping[str, object]) -> tuple[str, tuple[object, ...]]:
    numbers: dict[str, int] = {}
    edits: list[tuple[int, int, str]] = []
    for dollar, name in _behind_dollars(found):
        if name.kind is not TokenKind.WORD:
            continue
        if name.text not in parameters:
            known = ", ".join(f"${key}" for key in parameters)
            raise WarehouseError(f"the parameter ${name.text} has no value", help=f"given are {known}", sql=sql)
        number = numbers.setdefault(name.text, len(numbers) + 1)
        edits.append((dollar.start, name.end, f"${number}"))
    unused = [key for key in parameters if key not in numbers]
    if unused:
        raise WarehouseError(
            f"the statement has no parameter ${unused[0]}",
            help="write it into the SQL, or leave its value out",
            sql=sql,
        )
    return _replaced(sql, edits), tuple(parameters[name] for name in numbers)


def _behind_dollars(found: Sequence[Token]) -> list[tuple[Token, Token]]:
    """Each `$` with the token that stands right behind it."""
    return [
        (token, after)
        for token, after in itertools.pairwise(found)
        if token.text == "$" and token.kind is TokenKind.MARK and after.start == token.end
    ]


def _is_operator(found: Sequence[Token], at: int) -> bool:
    token = found[at]
    if at and found[at - 1].end == token.start and found[at - 1].text in _OPERATORS:
        return True
    return at + 1 < len(found) and found[at + 1].start == token.end and found[at + 1].text in _OPERATORS


def _replaced(sql: str, edits: Sequence[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    position = 0
    for start, end, text in edits:
        parts += (sql[position:start], text)
        position = end
    return "".join((*parts, sql[position:]))
