"""Errors of the warehouse with the place in the file in which their SQL was written."""

from __future__ import annotations

import re

from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Function, Model
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.source_map import Written, offset_of_line, written_at
from sqlbuild.errors import WarehouseError

LINE = pattern(r"\bLINE (\d+):")


def placed(error: WarehouseError, node: Node) -> WarehouseError:
    """The same error with the place in the model's file instead of the line of the statement.

    Line n of the node's SQL is line n of the query as written, whatever stands before it in the statement, unless
    macros gave some of it: an error in what a macro gave is at the place of its call.
    """
    model, sql = node.declaration, node.sql
    assert isinstance(model, Model | Function)
    assert sql is not None
    message = str(error.args[0]) if error.args else ""
    found = LINE.search(message)
    start = error.sql.find(sql) if found else -1
    if found is None or start < 0:
        line: int | None = model.sql_line
    else:
        written = _written(found, message, error.sql, start, node)
        line = written.place.line
        place = f"{model.place.path}:{line}:"
        rest = shift_caret(message[found.end() :], len(place) - len(found[0]))
        message = message[: found.start()] + place + rest
        if written.expansion is not None:
            message += f"\nThis is {written.expansion.told()}, which is called at {written.place}."
    told = WarehouseError(message, help=error.help, sql=error.sql, transient=error.transient)
    told.line = line
    return told


def _written(found: re.Match[str], message: str, statement: str, start: int, node: Node) -> Written:
    """Where the line of `statement` that `message` quotes was written; the node's SQL begins at `start` of it."""
    model, sql = node.declaration, node.sql
    assert isinstance(model, Model | Function)
    assert sql is not None
    begin = Place(model.place.path, model.sql_line, model.sql_column)
    number = int(found[1])
    if node.expansions:
        at = offset_of_line(statement, number) + _quoted_column(message[found.end() :], statement, number)
        return written_at(sql, begin, node.expansions, min(max(at - start, 0), len(sql)))
    return Written(Place(model.place.path, number - statement.count("\n", 0, start) + model.sql_line - 1))


def _quoted_column(rest: str, statement: str, line: int) -> int:
    """Where in the line, from 0, the caret below its quotation points; the first visible place if there is none.

    A long line is quoted in part, with dots for what is left out.
    """
    quoted, _, below = rest.partition("\n")
    below = below.partition("\n")[0]
    begin = offset_of_line(statement, line)
    whole = statement[begin:].partition("\n")[0]
    blanks = len(whole) - len(whole.lstrip())
    caret = below.find("^")
    if caret < 0 or below[:caret].strip():
        return blanks
    # The caret stands below a line that begins with `LINE n:`, which `rest` does not have.
    inner = quoted.strip().removeprefix("...").removesuffix("...")
    there = whole.find(inner)
    if there < 0 or not inner:
        return blanks
    return there + max(caret - len(f"LINE {line}:") - quoted.find(inner), 0)


def shift_caret(rest: str, by: int) -> str:
    """Under a quoted line stands a line with only a caret: it moves with what stands before the quotation."""
    quoted, newline, below = rest.partition("\n")
    caret = below.find("^")
    if caret < 0 or below[:caret].strip():
        return rest
    return quoted + newline + " " * max(0, caret + by) + below[caret:]
