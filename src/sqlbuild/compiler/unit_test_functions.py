"""SQL functions in unit tests: copies of those that are called, and mocks in the place of calls of table functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Mapping

from sqlbuild.compiler.unit_test_surroundings import Surroundings, folded
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Function
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.domain.unit_tests import FunctionCopy
from sqlbuild.refs import Reference
from sqlbuild.sql.rendering import Readable, render_references
from sqlbuild.sql.tokens import UnclosedText, tokens

_PLACES = {"duckdb": ("_sqlbuild_tests", "main"), "postgres": ("", "pg_temp")}
"""Adapter -> database and schema of the copies."""


def copy_of(function: Function, dialect: str) -> Relation:
    """What a test calls a function."""
    return Relation(*_PLACES[dialect], function.name)


def function_copies(references: Iterable[Reference], around: Surroundings) -> tuple[FunctionCopy, ...]:
    """Of functions, those that others call first."""
    copies: list[FunctionCopy] = []
    for reference in references:
        function = around.function(reference)
        readables: Mapping[Reference, Readable] = {
            found.reference: Readable(
                alias="", relation=copy_of(around.function(folded(found.reference)), around.dialect)
            )
            for found in function.references
        }
        sql = render_references(function.sql, function.references, readables)
        relation = copy_of(function, around.dialect)
        types = f"{function.written()} {function.returns} {[(each.name, each.type) for each in function.columns]}"
        copies.append(FunctionCopy(node=around.ids[reference], relation=relation, sql=sql, types=types))
    return tuple(copies)


def with_whole_calls(
    sql: str, references: tuple[SqlReference, ...], mocked: Container[Reference | None]
) -> tuple[SqlReference, ...]:
    """The references, those to `mocked` functions up to the end of their arguments: a mock stands for all of that."""
    found: list[SqlReference] = []
    behind = 0
    for each in sorted(references, key=lambda reference: reference.start):
        if each.start < behind:
            continue
        if each.call and folded(each.reference) in mocked:
            behind = _end_of_arguments(sql, each.end)
            found.append(dataclasses.replace(each, end=behind))
        else:
            found.append(each)
    return tuple(found)


def _end_of_arguments(sql: str, start: int) -> int:
    depth = 0
    try:
        for token in tokens(sql, start):
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if depth <= 0:
                return token.end if token.text == ")" else start
    except UnclosedText:
        pass
    return start
