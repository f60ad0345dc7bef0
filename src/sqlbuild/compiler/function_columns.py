"""What a SQL function takes and gives, and how its SQL is analysed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from sqlbuild.domain.columns import Column
from sqlbuild.domain.nodes import Function
from sqlbuild.errors import Problem
from sqlbuild.sql.query_analysis import Finding, OutputColumn, QueryInput
from sqlbuild.sql.rendering import is_query_text

SELECT = "SELECT "
BEHIND = "\nAS value"
"""What is put around an expression to make a query of it."""


def is_query(function: Function) -> bool:
    return function.is_table or is_query_text(function.sql)


def declared_columns(function: Function, dialect: str) -> tuple[Column, ...]:
    """The columns of a table function, with the names that the warehouse gives them."""
    return tuple([dataclasses.replace(column, name=_folded(column.name, dialect)) for column in function.columns])


def arguments_of(function: Function, dialect: str) -> QueryInput:
    columns = tuple((_folded(each.name, dialect), each.type) for each in function.arguments)
    return QueryInput(label="the arguments", alias=function.name, columns=columns, complete=True)


def described_function(function: Function, dialect: str) -> QueryInput:
    """What SQL that calls it can know of it."""
    if function.is_table:
        columns = tuple((each.name, each.type) for each in declared_columns(function, dialect))
        return QueryInput(label=function.name, alias=function.name, columns=columns, complete=True)
    return QueryInput(label=function.name, alias=function.name, columns=(("", function.returns),), scalar=True)


def moved_back(finding: Finding, before: str) -> Finding:
    """A finding in text that had `before` in front."""
    if finding.line != 1 or finding.column is None:
        return finding
    return dataclasses.replace(finding, column=max(finding.column - len(before), 1))


def returned_problems(
    function: Function, columns: Sequence[Column], found: Sequence[OutputColumn], dialect: str
) -> Iterator[Problem]:
    """Where the query does not give what the header says; columns count by their order."""
    if not function.is_table:
        if len(found) != 1:
            yield _problem(
                function,
                f"{function.name} returns one value, but its query gives {len(found)} columns",
                "select one column, or write `returns table (...)`",
            )
        return
    names = [column.name for column in found]
    if len(names) != len(columns):
        yield _problem(
            function,
            f"{function.name} returns {len(columns)} columns, but its query gives {len(names)}",
            f"the query gives {', '.join(names)}",
        )
        return
    for number, (column, name) in enumerate(zip(columns, names, strict=True), 1):
        if _key(column.name, dialect) != _key(name, dialect):
            yield _problem(
                function,
                f"{function.name}: column {number} is called {column.name} in `returns` and {name} in the query",
                "give both the same order and the same names",
            )
            return


def _problem(function: Function, message: str, help: str) -> Problem:
    place = function.place
    return Problem(
        code="MISSING_COLUMN", message=message, help=help, path=place.path, line=place.line, column=place.column
    )


def _folded(name: str, dialect: str) -> str:
    """A name of the header as the warehouse takes it where it is not quoted."""
    return name if dialect == "duckdb" else name.lower()


def _key(name: str, dialect: str) -> str:
    return name.lower() if dialect == "duckdb" else name
