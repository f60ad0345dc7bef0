"""Unit tests of SQL: rows that models give for mocked inputs, compared with those that were expected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId, Place
from sqlbuild.domain.nodes import Function, UnitTest
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.domain.results import ErrorFacts, Status
from sqlbuild.domain.row_differences import Row, aligned
from sqlbuild.domain.unit_test_results import (
    NOT_AS_EXPECTED,
    Asserted,
    Compared,
    Verified,
    document_of,
    lines_of,
)
from sqlbuild.domain.unit_tests import ACTUAL, EXPECTED, UnitTestPlan, Verification
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.comparing import Comparing, CopiedFunction, QueryColumn
from sqlbuild.interfaces.warehouse import Connection, Warehouse
from sqlbuild.runner.outcomes import Checked
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.sql.compare_rows import FACTS, ComparedColumn, compare_rows, count_rows

ROWS_READ = 100
"""Rows that are looked at in each direction, to find those that belong together."""
NO_NODES: Mapping[NodeId, Node] = MappingProxyType({})
_LINE = pattern(r"\bLINE (\d+):")


async def run_unit_test(
    node: Node, warehouse: Warehouse, comparing: Comparing, max_bytes: int, nodes: Mapping[NodeId, Node] = NO_NODES
) -> Checked:
    """Everything that a test verifies, over a connection of its own; `nodes` has the functions that it calls.

    Raises WarehouseError where trying again may help.
    """
    test, plan = node.declaration, node.unit_test
    assert isinstance(test, UnitTest)
    assert plan is not None
    verified: list[Verified] = []
    error: ErrorFacts | None = None
    connection = warehouse.connect()
    queries = _Queries(connection, comparing, _functions(plan, nodes))
    try:
        for verification in plan.verifications:
            try:
                verified.append(await _verified(verification, queries))
            except WarehouseError as raised:
                if raised.transient:
                    raise
                error = _of_sql(raised, verification)
                break
    finally:
        await connection.close()
    failed = [each for each in verified if not each.passed]
    if error is None and failed:
        message = "\n".join(line for index, each in enumerate(failed) for line in (*[""][:index], *lines_of(each)))
        place = failed[0].place
        error = ErrorFacts(type=NOT_AS_EXPECTED, message=message, path=place.path, line=place.line, help=_help(failed))
    said = {
        "checks": [document_of(each) for each in verified],
        "real_models": list(plan.models),
        **({"test": test.block, "case": test.case, "parameters": dict(test.parameters)} if test.case else {}),
    }
    payload = plain_json_text(said, "what the test found", max_bytes)
    return Checked(Status.SUCCEEDED if error is None else Status.FAILED, payload, None, error)


def _help(failed: Sequence[Verified]) -> str:
    if any(isinstance(each, Compared) and each.unknown_columns for each in failed):
        return "call each column as the model does: an expression needs AS and a name"
    return ""


async def _verified(verification: Verification, queries: _Queries) -> Verified:
    if verification.compares:
        return await _compared(verification, queries)
    statement = count_rows(verification.ctes.text, ACTUAL, ROWS_READ)
    columns, rows = await queries.rows(statement)
    return Asserted(
        name=verification.name,
        place=verification.place,
        columns=columns[1:],
        rows=int(rows[0][0]) if rows else 0,
        samples=tuple(row[1:] for row in rows),
    )


async def _compared(verification: Verification, queries: _Queries) -> Compared:
    ctes = verification.ctes.text
    expected = await queries.columns(f"{ctes}\nSELECT * FROM {EXPECTED}")
    actual = await queries.columns(f"{ctes}\nSELECT * FROM {ACTUAL}")
    given = {_key(column.name, queries.comparing): column for column in actual}
    unknown = tuple(column.name for column in expected if _key(column.name, queries.comparing) not in given)
    if unknown:
        return Compared(
            model=verification.name,
            place=verification.place,
            unknown_columns=unknown,
            given_columns=tuple(column.name for column in actual),
        )
    columns = [_column(each, given[_key(each.name, queries.comparing)]) for each in expected]
    statement = compare_rows(ctes, EXPECTED, ACTUAL, columns, ROWS_READ)
    _, rows = await queries.rows(statement)
    missing = [(row[FACTS:], int(row[0] - row[1])) for row in rows if row[0] > row[1]]
    unexpected = [(row[FACTS:], int(row[1] - row[0])) for row in rows if row[1] > row[0]]
    totals = [int(number) for number in rows[0][2:6]] if rows else [0, 0, 0, 0]
    return Compared(
        model=verification.name,
        place=verification.place,
        columns=tuple(column.name for column in expected),
        expected_rows=totals[0],
        actual_rows=totals[1],
        missing=totals[2],
        unexpected=totals[3],
        differences=aligned(missing, unexpected),
    )


def _key(name: str, comparing: Comparing) -> str:
    return name.lower() if comparing.folds_names else name


def _column(expected: QueryColumn, actual: QueryColumn) -> ComparedColumn:
    """Text and what is no text have no type in common: what was expected is then read as the model gives it."""
    actual_type = actual.compared_as
    expected_type = expected.compared_as
    if expected.is_text != actual.is_text:
        expected_type = actual_type or actual.type
    elif actual_type is not None or expected_type is not None:
        actual_type = expected_type = actual_type or expected_type
    return ComparedColumn(
        expected=expected.name, actual=actual.name, expected_type=expected_type, actual_type=actual_type
    )


@record(frozen=True, slots=True)
class _Queries:
    """Queries of one test."""

    connection: Connection
    comparing: Comparing
    functions: tuple[CopiedFunction, ...]

    async def columns(self, sql: str) -> tuple[QueryColumn, ...]:
        return await self.comparing.columns(self.connection, sql, self.functions)

    async def rows(self, sql: str) -> tuple[tuple[str, ...], list[Row]]:
        return await self.comparing.rows(self.connection, sql, self.functions)


def _functions(plan: UnitTestPlan, nodes: Mapping[NodeId, Node]) -> tuple[CopiedFunction, ...]:
    copies: list[CopiedFunction] = []
    for copy in plan.functions:
        function = nodes[copy.node].declaration
        assert isinstance(function, Function)
        copies.append(CopiedFunction(relation=copy.relation, function=function, sql=copy.sql))
    return tuple(copies)


def _of_sql(error: WarehouseError, verification: Verification) -> ErrorFacts:
    """An error of the warehouse at the line of the file that the wrong SQL comes from."""
    message = str(error.args[0]) if error.args else ""
    found = _LINE.search(message)
    place: Place | None = None
    if found is not None:
        # What stands before the CTEs stands on their first line.
        place = verification.ctes.place(int(found[1]))
        message = message[: found.start()].rstrip() if place is None else _with_place(message, found, place)
    place = place or verification.place
    return ErrorFacts(type=type(error).__name__, message=message, path=place.path, line=place.line, help=error.help)


def _with_place(message: str, found: re.Match[str], place: Place) -> str:
    written = f"{place.path}:{place.line}:"
    quoted, newline, below = message[found.end() :].partition("\n")
    caret = below.find("^")
    if caret >= 0 and not below[:caret].strip():
        below = " " * max(0, caret + len(written) - len(found[0])) + below[caret:]
    return message[: found.start()] + written + quoted + newline + below
