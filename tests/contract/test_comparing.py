"""Unit tests on every warehouse: what is the same, what differs, and what is said of SQL that does not run."""

from __future__ import annotations

import json

import pytest

from sqlbuild.domain.graph import Fingerprint, Node
from sqlbuild.domain.ids import NodeId, NodeKind, Place
from sqlbuild.domain.results import Status
from sqlbuild.domain.unit_tests import ACTUAL, EXPECTED, PlacedLines, PlacedSql, UnitTest, UnitTestPlan, Verification
from sqlbuild.runner.kinds.unit_test import run_unit_test
from sqlbuild.warehouses.duckdb_comparing import DuckDBComparing
from sqlbuild.warehouses.postgres_comparing import PostgresComparing

PLACE = Place("tests/unit/t.sql", 3, 1)


@pytest.fixture
def comparing(place):
    return PostgresComparing() if place == "postgres" else DuckDBComparing()


@pytest.fixture
def run(warehouse, comparing):
    """The outcome of one comparison, or of one assertion, and the document of it."""

    async def outcome(actual: str, expected: str | None = None):
        text = f"WITH {ACTUAL} AS (\n{actual}\n)" + (f", {EXPECTED} AS ({expected})" if expected is not None else "")
        lines = (PlacedLines(first=2, last=2 + actual.count("\n"), path="models/m.sql", line=10),)
        verification = Verification(
            name="m", compares=expected is not None, place=PLACE, ctes=PlacedSql(text=text, lines=lines)
        )
        node = Node(
            id=NodeId("test:t"),
            kind=NodeKind.TEST,
            name="t",
            place=PLACE,
            declaration=UnitTest(name="t", block="t", place=PLACE),
            unit_test=UnitTestPlan(verifications=(verification,), models=("m",)),
            fingerprint=Fingerprint(code="c", settings="s", upstream="u", total="t"),
        )
        found = await run_unit_test(node, warehouse, comparing, 1_000_000)
        checks = json.loads(found.payload)["checks"]
        return found, checks[0] if checks else None

    return outcome


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (
            "SELECT 1 AS a, 'x' AS b, 2 AS c UNION ALL SELECT 2, 'y', 3",
            "SELECT 'y' AS b, 2 AS a UNION ALL SELECT 'x', 1",
        ),
        ("SELECT NULL AS a, 1 AS b", "SELECT NULL AS a"),
        ("SELECT CAST(1 AS BIGINT) AS a", "SELECT CAST(1 AS SMALLINT) AS a"),
        ("SELECT CAST(28.5 AS DOUBLE PRECISION) AS a", "SELECT 28.50 AS a"),
        ("SELECT CAST(1.5 AS DECIMAL(18, 4)) AS a", "SELECT 1.5 AS a"),
        ("SELECT CAST('NaN' AS DOUBLE PRECISION) AS a", "SELECT CAST('NaN' AS DOUBLE PRECISION) AS a"),
        ("SELECT CAST('2026-01-02 03:00:00' AS TIMESTAMP) AS a", "SELECT '2026-01-02 03:00:00' AS a"),
        ("SELECT CAST('2026-01-02' AS DATE) AS a", "SELECT CAST('2026-01-02' AS TIMESTAMP) AS a"),
        ("SELECT CAST(5 AS INTEGER) AS a", "SELECT NULL AS a WHERE 1 = 0 UNION ALL SELECT '5'"),
        ("SELECT '5' AS a", "SELECT 5 AS a"),
        ("SELECT TRUE AS a", "SELECT 'true' AS a"),
        ("SELECT CAST(NULL AS INTEGER) AS a", "SELECT NULL AS a"),
        ("SELECT 1 AS a WHERE 1 = 0", "SELECT 1 AS a WHERE 1 = 0"),
        ("SELECT CAST('{\"k\": 1}' AS JSON) AS a", "SELECT CAST('{\"k\": 1}' AS JSON) AS a"),
        ("SELECT 1 AS a -- the end", "SELECT 1 AS a -- too\n"),
    ],
)
async def test_rows_are_compared_as_a_multiset_with_their_types_made_one(run, actual, expected):
    found, check = await run(actual, expected)
    assert found.error is None, found.error
    assert (found.status, check["status"]) == (Status.SUCCEEDED, "pass")
    assert (check["missing_rows"], check["unexpected_rows"]) == (0, 0)


async def test_rows_that_are_missing_unexpected_and_too_often_are_counted(run):
    found, check = await run(
        "SELECT 1 AS id, 'a' AS b UNION ALL SELECT 1, 'a' UNION ALL SELECT 2, 'B' UNION ALL SELECT 9, NULL",
        "SELECT 1 AS id, 'a' AS b UNION ALL SELECT 2, 'b' UNION ALL SELECT 3, 'c'",
    )
    assert found.status is Status.FAILED
    assert (check["expected_rows"], check["actual_rows"]) == (3, 4)
    assert (check["missing_rows"], check["unexpected_rows"]) == (2, 3)
    assert check["changed_samples"][0] == {
        "columns": ["b"],
        "expected": {"id": 2, "b": "b"},
        "actual": {"id": 2, "b": "B"},
        "times": 1,
    }
    assert found.error.message.startswith("m: 1 row differs, 1 row is missing, 2 rows are unexpected")
    assert (found.error.path, found.error.line) == ("tests/unit/t.sql", 3)


async def test_of_very_many_rows_the_first_are_read_and_all_are_counted(run):
    found, check = await run(
        "SELECT g.n AS id, 'x' AS b FROM generate_series(1, 5000) AS g(n)", "SELECT 1 AS id, 'y' AS b"
    )
    assert (check["missing_rows"], check["unexpected_rows"], check["actual_rows"]) == (1, 5000, 5000)
    assert len(check["unexpected_samples"]) == 20
    assert "... and" in found.error.message


async def test_a_column_that_the_model_does_not_give_fails_the_test(run, place):
    found, check = await run("SELECT 1 AS id, 2 AS total", "SELECT 1 AS id, 2 AS totl")
    assert check["unknown_columns"] == ["totl"]
    assert "it gives id, total" in found.error.message
    found, check = await run('SELECT 1 AS "Id"', "SELECT 1 AS id")
    assert (found.status is Status.SUCCEEDED) is (place != "postgres")


async def test_rows_of_an_assertion_fail_it_and_none_pass(run):
    found, check = await run("SELECT 1 AS id WHERE 1 = 0")
    assert (found.status, check["status"], check["rows"]) == (Status.SUCCEEDED, "pass", 0)
    found, check = await run("SELECT g.n AS id, 1 AS id FROM generate_series(1, 300) AS g(n)")
    assert (found.status, check["rows"]) == (Status.FAILED, 300)
    assert found.error.message.startswith("__assert__m: 300 rows, expected none")


async def test_an_error_of_the_warehouse_stands_at_the_line_that_it_comes_from(run):
    found, check = await run("SELECT 1 AS id,\n  nothing AS b", "SELECT 1 AS id")
    assert check is None
    assert found.status is Status.FAILED
    assert (found.error.path, found.error.line) == ("models/m.sql", 11)
    found, _ = await run("SELECT 1 AS id", "SELECT CAST('x' AS INTEGER) AS id")
    assert found.status is Status.FAILED
    assert found.error.path == "tests/unit/t.sql"
