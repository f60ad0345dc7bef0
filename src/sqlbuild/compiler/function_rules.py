"""What must hold for calls of SQL functions, and for what they are declared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlbuild.domain.ids import NodeId, NodeKind, Place, node_id
from sqlbuild.domain.nodes import Declaration, Function, Model, SqlReference
from sqlbuild.errors import Problem
from sqlbuild.sql.tokens import UnclosedText, tokens


def call_problems(nodes: Mapping[NodeId, Declaration]) -> Iterator[Problem]:
    """Functions are called with the word of their kind and as many arguments as they have."""
    for declaration in nodes.values():
        if not isinstance(declaration, Model | Function):
            continue
        for reference in declaration.references:
            if reference.call:
                function = nodes.get(node_id(NodeKind.FUNCTION, reference.reference.name))
                if isinstance(function, Function) and function.readable:
                    yield from _wrong_call(declaration, reference, function)


def _wrong_call(reader: Model | Function, reference: SqlReference, function: Function) -> Iterator[Problem]:
    right = "__table_fn" if function.is_table else "__udf"
    help = f"it is called {function.written()}"
    if reference.call != right:
        what = "a table function: it stands in FROM" if function.is_table else "no table function"
        yield _problem(
            f'{reader.name} calls {reference.call}("{function.name}"), which is {what}', help, reference.place
        )
        return
    given = arguments_behind(reader.sql, reference.end)
    shown = f'{reference.call}("{function.name}")'
    if given is None:
        yield _problem(f"{reader.name}: no arguments follow {shown}", help, reference.place)
    elif given != len(function.arguments):
        yield _problem(
            f"{reader.name} gives {shown} {_arguments(given)}, and it has {len(function.arguments)}",
            help,
            reference.place,
        )


def _arguments(number: int) -> str:
    return "1 argument" if number == 1 else f"{number} arguments"


def arguments_behind(sql: str, start: int) -> int | None:
    """How many arguments the brackets at `start` hold; None if there are no brackets, or they are never closed."""
    depth = commas = 0
    empty = True
    try:
        for token in tokens(sql, start):
            if depth == 0 and token.text != "(":
                return None
            if token.text in ("(", "[", "{"):
                empty = empty and depth == 0
                depth += 1
                continue
            if token.text in (")", "]", "}"):
                depth -= 1
                if depth == 0:
                    return 0 if empty else commas + 1
            elif token.text == "," and depth == 1:
                commas += 1
            empty = False
    except UnclosedText:
        return None
    return None


def _problem(message: str, help: str, place: Place) -> Problem:
    return Problem(
        code="FUNCTION_CALL", message=message, help=help, path=place.path, line=place.line, column=place.column
    )
