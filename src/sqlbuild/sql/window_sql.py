"""Windows in SQL: bounds as literals, inputs of which only a window is read, and the places where bounds stand."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sqlbuild.domain.cursor_windows import Window
from sqlbuild.domain.incremental import Bound, BoundOf, CursorValue, IncrementalSql
from sqlbuild.domain.pattern import pattern
from sqlbuild.sql.rendering import Edit, quote_identifier
from sqlbuild.sql.tokens import TokenKind, tokens

_CALLS = {"__cursor_start": Bound.START, "__cursor_end": Bound.END}
_MARK = pattern("\x00(start|end)([0-9]*)\x00")
"""Of a bound that is not known yet. No SQL has such a character in it."""


def mark_of(bound: Bound, input: int | None = None) -> str:
    return f"\x00{bound.value}{'' if input is None else input}\x00"


def read_within_window(sql: str, column: str, place: int) -> str:
    """A query in brackets: the rows of `sql`, which may stand in a FROM clause, whose column is within the window.

    One line, so that line numbers in what it is put into stay as they are.
    """
    name = quote_identifier(column)
    return (
        f"(SELECT * FROM {sql} WHERE {name} >= {mark_of(Bound.START, place)} AND {name} < {mark_of(Bound.END, place)})"
    )


def bound_edits(sql: str) -> list[Edit]:
    """What puts marks in the place of the `__cursor_start()` and `__cursor_end()` calls of a query."""
    found: list[Edit] = []
    kept = list(tokens(sql))
    for word, opening, closing in zip(kept, kept[1:], kept[2:], strict=False):
        bound = _CALLS.get(word.text.lower()) if word.kind is TokenKind.WORD else None
        if bound is not None and (opening.text, closing.text) == ("(", ")"):
            found.append((word.start, closing.end, mark_of(bound)))
    return found


def parts_of(sql: str) -> tuple[str | BoundOf, ...]:
    """Text with marks in it, taken apart."""
    parts: list[str | BoundOf] = []
    position = 0
    for found in _MARK.finditer(sql):
        parts += [sql[position : found.start()], BoundOf(Bound(found[1]), int(found[2]) if found[2] else None)]
        position = found.end()
    return (*parts, sql[position:])


def without_bounds(sql: str, type_: str) -> str:
    """With NULL for every bound: good for looking at it, not for running it."""
    return _MARK.sub(f"CAST(NULL AS {type_})", sql)


def within_window(template: IncrementalSql, window: Window | None, zones: Sequence[bool]) -> str:
    """The query of one window. `zones`: whether the column of each input is one of moments with a time zone; calls in
    the query itself have one if all of them have. Without a window there are no bounds in it."""
    written: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            written.append(part)
            continue
        assert window is not None
        value = window.start if part.bound is Bound.START else window.end
        has_zone = (bool(zones) and all(zones)) if part.input is None else zones[part.input]
        written.append(literal(value, has_zone=has_zone))
    return "".join(written)


def literal(value: CursorValue, *, has_zone: bool = False) -> str:
    """A value of a cursor, with its type."""
    if isinstance(value, datetime.datetime):
        text = value.isoformat(sep=" ")
        return f"TIMESTAMP WITH TIME ZONE '{text}+00'" if has_zone else f"TIMESTAMP '{text}'"
    return str(value)
