"""Files of unit tests: what is read from them, and what is wrong with them."""

from __future__ import annotations

import textwrap

import pytest

from sqlbuild.domain.unit_tests import CteRole, UnitTestMode
from sqlbuild.project.read_unit_tests import read_unit_tests
from sqlbuild.project.text_file import TextFile


def read(text: str, name: str = "orders_are_kept"):
    problems: list = []
    tests = read_unit_tests(TextFile(f"tests/unit/{name}.sql", textwrap.dedent(text).lstrip("\n")), problems)
    return tests, problems


def told(text: str) -> list[tuple[str, int | None, str]]:
    return [(problem.code, problem.line, problem.message) for problem in read(text)[1]]


def test_a_test_is_called_like_its_file_and_knows_what_its_ctes_are_for():
    tests, problems = read(
        """
        TEST();
        WITH
        rows(id, note) AS (VALUES (1, 'a (b), c')),
        __source__raw__orders AS (SELECT * FROM rows -- )
        ),
        __REF__stg AS (SELECT 1 AS id),
        __expected__orders AS (SELECT 1 AS id),
        __assert__none AS (SELECT * FROM __ref("orders") WHERE id < 0)
        SELECT 1;
        """
    )
    assert problems == []
    (test,) = tests
    assert (test.name, test.mode, test.case) == ("orders_are_kept", UnitTestMode.MODEL, None)
    assert [(cte.role, cte.subject) for cte in test.ctes] == [
        (CteRole.HELPER, "rows"),
        (CteRole.SOURCE, "raw__orders"),
        (CteRole.REF, "stg"),
        (CteRole.EXPECTED, "orders"),
        (CteRole.ASSERT, "none"),
    ]
    assert test.ctes[0].columns == "(id, note)"
    assert (test.ctes[4].sql_line, test.ctes[4].sql_column) == (8, 20)
    (reference,) = test.ctes[4].references
    assert (reference.reference.name, reference.place.line) == ("orders", 8)


def test_several_blocks_of_a_file_are_tests_with_names_of_their_own():
    tests, problems = read(
        """
        TEST (name "first", tags [nightly], timeout "45s");
        WITH RECURSIVE __expected__a AS (SELECT 1 AS x)

        TEST (name "second", timeout disabled, sql_analysis false);
        with __expected__a as (select 1 as x)
        """
    )
    assert problems == []
    first, second = tests
    assert (first.name, first.tags, first.timeout, first.is_recursive) == ("first", ("nightly",), 45.0, True)
    assert (second.name, second.has_time_limit, second.timeout, second.sql_analysis) == ("second", False, None, False)


def test_every_case_is_a_test_with_its_values_in_the_sql():
    tests, problems = read(
        """
        TEST (
          name "states",
          parameters (state string, rate decimal, is_open boolean, days (type integer, nullable true), share float),
          cases (
            done (state "it's", rate "0.20", is_open false, days null, share 0.5),
            open (state "@param(rate)", rate "-1", is_open true, days -3, share 2),
          ),
        );
        WITH
        __source__raw AS (SELECT @param("state") AS state, '@param("state")' AS text, __ref("x") -- @param("other")
        ),
        __expected__orders AS (
          SELECT @param("rate") AS rate, @param("is_open") AS is_open, @param("days") AS days, @param( "share" ) AS share
        )
        """
    )
    assert problems == []
    done, opened = tests
    assert (done.name, done.block, done.case) == ("states[done]", "states", "done")
    assert done.ctes[0].sql.startswith("SELECT 'it''s' AS state, '@param(\"state\")' AS text, __ref(\"x\")")
    reference = done.ctes[0].references[0]
    assert done.ctes[0].sql[reference.start : reference.end] == '__ref("x")'
    assert done.ctes[1].sql == (
        "SELECT 0.20 AS rate, FALSE AS is_open, NULL AS days, CAST(0.5 AS DOUBLE PRECISION) AS share"
    )
    assert "(-1) AS rate, TRUE AS is_open, (-3) AS days, CAST(2 AS DOUBLE PRECISION) AS share" in opened.ctes[1].sql
    assert opened.parameters == {"state": "@param(rate)", "rate": "-1", "is_open": True, "days": -3, "share": 2}


def test_the_mode_is_told_by_the_ctes():
    (test,), problems = read("TEST();\nWITH __macro_actual__ AS (SELECT 1 AS x), __macro_expected__ AS (SELECT 1 AS x)")
    assert problems == []
    assert test.mode is UnitTestMode.MACRO
    assert [cte.role for cte in test.ctes] == [CteRole.ACTUAL, CteRole.EXPECTED]


@pytest.mark.parametrize(
    ("text", "code", "line", "part"),
    [
        ("SELECT 1", "TEST_SYNTAX", 1, "a test begins with its header"),
        ("TEST();", "TEST_SYNTAX", 1, "a WITH is expected"),
        ("TEST();\nSELECT 1", "TEST_SYNTAX", 2, "a WITH is expected"),
        ('TEST();\nWITH "recent orders" AS (SELECT 1)', "TEST_SYNTAX", 2, "stands in quotes"),
        ("TEST();\nWITH a AS MATERIALIZED (SELECT 1)", "TEST_SYNTAX", 2, "hint on its materialization"),
        ("TEST();\nWITH a AS not materialized (SELECT 1)", "TEST_SYNTAX", 2, "hint on its materialization"),
        ("TEST();\nWITH a AS (SELECT 1),\n", "TEST_SYNTAX", 3, "a CTE is expected behind this comma"),
        ("TEST();\nWITH a AS (SELECT 1)\nb AS (SELECT 1)", "TEST_SYNTAX", 3, "follows the last CTE"),
        ("TEST();\nWITH a AS (SELECT 1)\nSELECT 1, 2", "TEST_SYNTAX", 3, "`SELECT 1, 2` follows the last CTE"),
        ("TEST();\nWITH a AS (SELECT 1)\nSELECT * FROM a", "TEST_SYNTAX", 3, "follows the last CTE"),
        ("TEST();\nWITH a AS (SELECT (1)", "TEST_SYNTAX", 2, "never closed"),
        ("TEST();\nWITH a$b AS (SELECT 1)", "TEST_SYNTAX", 2, "is no name for a CTE"),
        ("TEST();\nWITH a (SELECT 1)", "TEST_SYNTAX", 2, "AS is expected"),
        ("TEST (nam x);\nWITH __expected__a AS (SELECT 1 AS x)", "UNKNOWN_KEY", 1, "unknown key `nam`"),
        ("TEST (mode modl);\nWITH __expected__a AS (SELECT 1 AS x)", "BAD_VALUE", 1, "`mode` must be"),
        ("TEST();\nWITH __expectd__a AS (SELECT 1 AS x)", "TEST_CTE", 2, "`__expectd__` is no prefix"),
        ("TEST();\nWITH __source__ AS (SELECT 1 AS x)", "TEST_CTE", 2, "names nothing"),
        ("TEST();\nWITH __helper__x AS (SELECT 1 AS x)", "TEST_CTE", 2, "do not begin with __helper__"),
        ("TEST();\nWITH __dbt_ref__x AS (SELECT 1 AS x)", "UNSUPPORTED", 2, "dbt"),
        ("TEST();\nWITH a AS (SELECT 1),\nA AS (SELECT 1)", "TEST_CTE", 3, "stands twice, first on line 2"),
        ("TEST (mode model);\nWITH __macro_actual__ AS (SELECT 1)", "TEST_CTE", 2, "declared with mode model"),
        ("TEST (mode macro);\nWITH __source__x AS (SELECT 1)", "TEST_CTE", 2, "a test of a model"),
        ("TEST();\nWITH __expected__a AS ()", "EMPTY_QUERY", 2, "there is no query"),
        ("TEST();\nWITH __expected__a AS (SELECT 1; SELECT 2)", "STATEMENTS", 2, "a second statement"),
        ("TEST();\nWITH a AS (SELECT * FROM __ref(x))", "REFERENCE", 2, "is not a valid reference"),
        ("TEST();\nWITH a AS (SELECT 1)\nTEST (name b);\nWITH c AS (SELECT 1)", "TEST_NAME", 1, "names each of them"),
        ('TEST();\nWITH a AS (SELECT @param("x"))', "TEST_PARAMETERS", 2, '@param("x") is not declared'),
        ("TEST();\nWITH a AS (SELECT @param(x))", "TEST_PARAMETERS", 2, "names no parameter"),
        ("TEST (parameters (x string));\nWITH a AS (SELECT 1)", "TEST_PARAMETERS", 1, "no cases"),
        (
            'TEST (parameters (x text), cases (a (x "1")));\nWITH a AS (SELECT 1)',
            "TEST_PARAMETERS",
            1,
            "the type of `parameters.x`",
        ),
        (
            'TEST (parameters (x decimal), cases (a (x 1.5)));\nWITH a AS (SELECT @param("x"))',
            "TEST_PARAMETERS",
            1,
            "a decimal in quotes",
        ),
        (
            'TEST (parameters (x integer), cases (a (x true)));\nWITH a AS (SELECT @param("x"))',
            "TEST_PARAMETERS",
            1,
            "must be of type integer",
        ),
        (
            'TEST (parameters (x integer), cases (a (y 1)));\nWITH a AS (SELECT @param("x"))',
            "TEST_PARAMETERS",
            1,
            "gives no `x`",
        ),
        (
            'TEST (parameters (x integer), cases (a (x null)));\nWITH a AS (SELECT @param("x"))',
            "TEST_PARAMETERS",
            1,
            "is null",
        ),
        (
            "TEST (parameters (x integer), cases (a (x 1)));\nWITH a AS (SELECT 1)",
            "TEST_PARAMETERS",
            1,
            "used nowhere",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, code, line, part):
    found = told(text)
    assert any((each[0], each[1]) == (code, line) and part in each[2] for each in found), found


def test_a_problem_in_the_sql_of_all_cases_is_told_once():
    found = told(
        """
        TEST (parameters (x integer), cases (a (x 1), b (x 2)));
        WITH __expected__m AS (SELECT @param("x") FROM __ref(y))
        """
    )
    assert [code for code, _, _ in found] == ["REFERENCE"]
