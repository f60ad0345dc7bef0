"""SQL functions in unit tests: copies of those that are called, and mocks in the place of calls of table functions."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Container, Iterable, Mapping

from sqlbuild.compiler.unit_test_surroundings import Surroundings, folded
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Function
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.domain.unit_tests import FunctionCopy, UnitTest
from sqlbuild.refs import Reference
from sqlbuild.sql.rendering import Readable, render_references
from sqlbuild.sql.tokens import UnclosedText, tokens

_PLACES = {"duckdb": ("_sqlbuild_tests", "main"), "postgres": ("", "pg_temp")}
"""Adapter -> database and schema of the copies."""


def copy_of(reference: Reference, around: Surroundings, test: UnitTest) -> Relation:
    """What a test calls a function. Where all tests have their copies in one place, one that reads mocks is a test's own."""
    function = around.function(reference)
    name = function.name
    if around.dialect == "duckdb" and _reads_relations(function, around):
        name += f"_{hashlib.blake2b(f'{test.place.path}:{test.block}'.encode(), digest_size=5).hexdigest()}"
    return Relation(*_PLACES[around.dialect], name)


def _reads_relations(function: Function, around: Surroundings) -> bool:
    references = [folded(each.reference) for each in function.references]
    return any(each.kind != "function" or _reads_relations(around.function(each), around) for each in references)


def function_copies(
    references: Iterable[Reference], around: Surroundings, test: UnitTest, mocked: Mapping[Reference, str]
) -> tuple[FunctionCopy, ...]:
    """Of functions, those that others call first; in them the queries of `mocked` stand for what they read."""
    copies: list[FunctionCopy] = []
    for reference in references:
        function = around.function(reference)
        readables = {
            found.reference: _readable(folded(found.reference), around, test, mocked) for found in function.references
        }
        sql = render_references(function.sql, function.references, readables)
        relation = copy_of(reference, around, test)
        types = f"{function.written()} {function.returns} {[(each.name, each.type) for each in function.columns]}"
        copies.append(FunctionCopy(node=around.ids[reference], relation=relation, sql=sql, types=types))
    return tuple(copies)


def _readable(reference: Reference, around: Surroundings, test: UnitTest, mocked: Mapping[Reference, str]) -> Readable:
    if reference.kind == "function":
        return Readable(alias="", relation=copy_of(reference, around, test))
    return Readable(alias=around.alias(reference), query=mocked[reference])


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
