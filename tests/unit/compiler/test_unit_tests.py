"""Unit tests compiled: which models they run, what is wrong with them, and the SQL that they become."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

import duckdb
import pytest

from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place
from sqlbuild.domain.incremental import (
    Bound,
    CursorCall,
    CursorInput,
    CursorType,
    Grain,
    Incremental,
    IncrementalStrategy,
)
from sqlbuild.domain.nodes import Materialization, UnitTest
from sqlbuild.domain.unit_tests import ACTUAL, EXPECTED
from sqlbuild.project.read_unit_tests import read_unit_tests
from sqlbuild.project.text_file import TextFile
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

RAW = (Column(name="id", type="INTEGER"), Column(name="state", type="VARCHAR"), Column(name="paid", type="BOOLEAN"))


def read_tests(text: str, name: str = "t") -> list[UnitTest]:
    problems: list[Any] = []
    tests = read_unit_tests(TextFile(f"tests/unit/{name}.sql", textwrap.dedent(text).lstrip("\n")), problems)
    assert problems == []
    return tests


@pytest.fixture
def shop(make):
    """Sources, a staging model and two marts above it, with the given tests."""

    def project(text: str, *more: Any, adapter: str = "duckdb", **settings: Any) -> Any:
        made = make.settings(adapter=adapter)
        made = dataclasses.replace(made, run=dataclasses.replace(made.run, **settings))
        return make.project(
            make.source("raw", columns=RAW),
            make.source("payments"),
            make.model(
                "stg",
                'WITH stg AS (SELECT id AS order_id, upper(state) AS state FROM __source("raw"))\nSELECT * FROM stg',
            ),
            make.model("totals", 'SELECT stg.state, count(*) AS orders FROM __ref("stg") GROUP BY ALL -- end'),
            make.model("open_totals", 'SELECT t.orders FROM __ref("totals") t JOIN __ref("stg") USING (state)'),
            *more,
            *read_tests(text),
            settings=made,
        )

    return project


def rows(verification: Any, relation: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(":memory:") as connection:
        return connection.execute(f"{verification.ctes.text}\nSELECT * FROM {relation} ORDER BY ALL").fetchall()


def test_of_unchanged_tests_nothing_is_analysed_again_and_of_an_edited_one_only_what_it_says(shop):
    def tests(count: int) -> Any:
        mock = "__source__raw AS (SELECT 1 AS id, 'open' AS state)"
        return shop(
            f"""
            TEST (name "one"); WITH {mock}, __expected__totals AS (SELECT 'OPEN' AS state, {count} AS orders);
            TEST (name "other"); WITH {mock}, __expected__stg AS (SELECT 1 AS order_id, 'OPEN' AS state);
            """
        )

    cache = InMemoryAnalysisCache()
    first = compile_project(tests(1), cache)
    at_first = cache.misses
    again = compile_project(tests(1), cache)
    assert cache.misses == at_first
    assert {node: each.fingerprint for node, each in again.nodes.items()} == {
        node: each.fingerprint for node, each in first.nodes.items()
    }
    edited = compile_project(tests(2), cache)
    # What is expected, and the digest of the whole.
    assert cache.misses - at_first == 2
    changed = [node for node, each in edited.nodes.items() if each.fingerprint != first.nodes[node].fingerprint]
    assert changed == ["test:one"]


def test_models_between_the_mocks_and_the_expectation_run_their_own_sql(make, shop):
    graph = make.graph(
        shop(
            """
            TEST (name "chain");
            WITH
            rows(id) AS (VALUES (1), (2)),
            __source__raw AS (SELECT id, 'open' AS state FROM rows -- the rows
            ),
            __expected__open_totals AS (SELECT count(*) AS orders FROM rows UNION ALL SELECT 2 AS orders),
            __assert__upper AS (SELECT * FROM __ref("stg") WHERE state <> 'OPEN')
            """
        )
    )
    test = graph.nodes["test:chain"]
    assert test.unit_test.models == ("stg", "totals", "open_totals")
    assert test.unit_test.paths["totals"] == ("open_totals", "totals")
    assert test.unit_test.mocks == (("source", "raw"),)
    assert test.unit_test.completed == {"__source__raw": ("paid",)}
    assert test.tests == ("model:open_totals", "model:stg")
    compares, asserts = test.unit_test.verifications
    assert rows(compares, ACTUAL) == [(2,), (2,)]
    assert rows(compares, EXPECTED) == [(2,), (2,)]
    assert rows(asserts, ACTUAL) == []


def test_a_model_comes_after_its_tests_and_depends_on_none(make, shop):
    graph = make.graph(
        shop(
            "TEST();\nWITH __ref__stg AS (SELECT 'x' AS state, 1 AS order_id), __expected__totals AS (SELECT 1 AS orders)"
        )
    )
    assert list(graph.nodes).index("test:t") + 1 == list(graph.nodes).index("model:totals")
    assert graph.nodes["model:totals"].tested_by == ("test:t",)
    assert graph.nodes["model:totals"].depends_on == ("model:stg",)
    assert graph.nodes["test:t"].depends_on == ()
    assert graph.nodes["test:t"].unit_test.models == ("totals",)


def test_a_helper_is_seen_by_the_test_alone(make, shop):
    graph = make.graph(
        shop(
            """
            TEST();
            WITH stg AS (SELECT 7 AS id, 'x' AS state, true AS paid),
            __source__raw AS (SELECT * FROM stg),
            __expected__stg AS (SELECT id AS order_id, 'X' AS state FROM stg)
            """
        )
    )
    (verification,) = graph.nodes["test:t"].unit_test.verifications
    assert rows(verification, ACTUAL) == rows(verification, EXPECTED) == [(7, "X")]


def test_recursive_ctes_quoted_names_and_any_case_are_handled(make, shop):
    numbers = make.model(
        "numbers",
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < (SELECT count(*) FROM __source("raw")))'
        ' SELECT "raw".id, i AS "A Number" FROM n, __source("raw")',
    )
    graph = make.graph(
        shop(
            """
            TEST();
            WITH RECURSIVE
            ids(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 2),
            __SOURCE__Raw AS (SELECT ID, NULL AS state, NULL AS paid FROM Ids),
            __Expected__NUMBERS AS (SELECT 1 AS "a number"),
            __assert__none AS (SELECT "A Number" FROM __ref("numbers") JOIN __source("raw") r USING (id) WHERE r.state > '')
            """,
            numbers,
        )
    )
    compares, asserts = graph.nodes["test:t"].unit_test.verifications
    assert rows(compares, ACTUAL) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert rows(asserts, ACTUAL) == []
    assert "CAST(NULL AS VARCHAR) AS state" in compares.ctes.text


def test_declared_types_of_tables_count_in_tests_too(make, shop):
    typed = make.model(
        "typed",
        'SELECT id, state FROM __source("raw")',
        materialized=Materialization.TABLE,
        columns=(Column(name="id", type="VARCHAR"),),
    )
    text = "TEST();\nWITH __source__raw AS (SELECT 1 AS id, 'a' AS state), __expected__typed AS (SELECT '1' AS id)"
    (verification,) = make.graph(shop(text, typed)).nodes["test:t"].unit_test.verifications
    assert rows(verification, ACTUAL) == [("1", "a")]
    on_postgres = make.graph(shop(text, typed, adapter="postgres")).nodes["test:t"].unit_test.verifications[0]
    assert 'CAST("id" AS VARCHAR) AS "id", "state"' in on_postgres.ctes.text


def test_an_empty_mock_has_all_columns_and_no_rows(make, shop):
    text = (
        "TEST();\nWITH __source__raw AS (SELECT * FROM __empty_fixture()), __expected__totals AS (SELECT 1 AS orders)"
    )
    (verification,) = make.graph(shop(text)).nodes["test:t"].unit_test.verifications
    assert rows(verification, ACTUAL) == []


def test_lines_of_the_sql_lead_back_to_the_files(make, shop):
    graph = make.graph(
        shop(
            "TEST();\nWITH __source__raw AS (\n  SELECT 1 AS id,\n  'a' AS state\n), __expected__stg AS (SELECT 1 AS order_id)"
        )
    )
    (verification,) = graph.nodes["test:t"].unit_test.verifications
    lines = verification.ctes.text.split("\n")
    of_mock = next(number for number, line in enumerate(lines, 1) if "'a' AS state" in line)
    of_model = next(number for number, line in enumerate(lines, 1) if line == "SELECT * FROM stg")
    assert str(verification.ctes.place(of_mock, 3)) == "tests/unit/t.sql:4:3"
    assert str(verification.ctes.place(of_model, 1)) == "models/stg.sql:6:1"
    assert verification.ctes.place(len(lines) + 5) is None


def test_the_fingerprint_changes_with_what_runs_and_not_with_how_it_is_written(make, shop):
    text = "TEST();\nWITH __source__raw AS (SELECT 1 AS id), __expected__stg AS (SELECT 1 AS order_id)"
    first = make.graph(shop(text)).nodes["test:t"].fingerprint
    assert (
        make.graph(shop(text.replace("SELECT 1 AS id", "select 1  as id -- one\n"))).nodes["test:t"].fingerprint
        == first
    )
    assert make.graph(shop(text.replace("1 AS order_id", "2 AS order_id"))).nodes["test:t"].fingerprint != first
    before = make.graph(shop(text)).nodes["model:stg"].fingerprint
    assert make.graph(shop(text.replace("1 AS order_id", "2 AS order_id"))).nodes["model:stg"].fingerprint == before


EXPECTED_STG = "__expected__stg AS (SELECT 1 AS order_id)"


@pytest.mark.parametrize(
    ("ctes", "code", "line", "message", "help"),
    [
        (
            "__source__payments AS (SELECT 1 AS id),\n__expected__totals AS (SELECT 1 AS orders)",
            "TEST_REFERENCE",
            3,
            't: stg (totals -> stg) reads __source("raw"), which the test does not mock',
            "add __source__raw AS (SELECT ...)",
        ),
        (
            'a AS (SELECT 1 AS x FROM __source("raw")),\n__expected__stg AS (SELECT x AS order_id FROM a),\n'
            "__source__payments AS (SELECT 1 AS x)",
            "TEST_REFERENCE",
            2,
            't: it reads __source("raw"), which the test does not mock',
            "add __source__raw AS (SELECT ...)",
        ),
        (f"__ref__stgg AS (SELECT 1 AS x),\n{EXPECTED_STG}", "TEST_REFERENCE", 2, 't: __ref__stgg: there is no model "stgg"', "did you mean __ref__stg?"),
        (f"__ref__raw AS (SELECT 1 AS x),\n{EXPECTED_STG}", "TEST_REFERENCE", 2, 't: __ref__raw: there is no model "raw"', "it is a source: write __source__raw"),
        ("__expected__mart AS (SELECT 1 AS x)", "TEST_REFERENCE", 2, 't: __expected__mart: there is no model "mart"', ""),
        (
            '__assert__none AS (SELECT * FROM __ref("sttg"))',
            "TEST_REFERENCE",
            2,
            't: __ref("sttg"): there is no model "sttg"',
            "did you mean",
        ),
        (
            f"__ref__stg AS (SELECT 1 AS order_id, 'x' AS state),\n{EXPECTED_STG}",
            "TEST_REFERENCE",
            3,
            "t: __ref__stg is a mock of what __expected__stg expects",
            "mock what the model reads",
        ),
        (
            "__ref__stg AS (SELECT 1 AS order_id, 'x' AS state),\n"
            '__assert__none AS (SELECT * FROM __ref("stg") WHERE order_id IS NULL)',
            "TEST_REFERENCE",
            3,
            "t: __assert__none reads nothing but mocks, so it tests no model",
            "",
        ),
        ("__source__raw AS (SELECT 1 AS id)", "NO_EXPECTATION", 1, "t: nothing is expected", "__expected__MODEL"),
        (
            f"a AS (SELECT * FROM b),\nb AS (SELECT * FROM a),\n__source__raw AS (SELECT 1 AS id FROM a),\n{EXPECTED_STG}",
            "TEST_REFERENCE",
            1,
            "t: CTEs read each other: a -> b -> a",
            "",
        ),
        (
            f'a AS (SELECT * FROM __ref("totals")),\n__source__raw AS (SELECT 1 AS id FROM a),\n{EXPECTED_STG}',
            "TEST_REFERENCE",
            2,
            't: the mock __source__raw reads __ref("totals")',
            "read another mock by its name: FROM __ref__totals",
        ),
        (
            f"__source__raw AS (SELECT 1 AS id, 'x' AS sate),\n{EXPECTED_STG}",
            "MOCK_COLUMNS",
            2,
            "t: __source__raw gives the column sate, which raw does not have",
            'did you mean "state"?',
        ),
        (
            "__ref__stg AS (SELECT 1 AS order_id),\n__expected__totals AS (SELECT 1 AS orders FROM)",
            "SQL_SYNTAX",
            3,
            "",
            "",
        ),
        (
            "__source__raw AS (SELECT 1 AS id),\n__expected__stg AS (SELECT 1 AS order_ix)",
            "UNKNOWN_COLUMN",
            3,
            "t: __expected__stg lists the column order_ix, which stg does not give",
            'did you mean "order_id"?',
        ),
        (
            "__source__raw AS (SELECT 1 AS id),\n__expected__stg AS (SELECT * FROM __empty_fixture()),\n"
            '__assert__x AS (SELECT orderid FROM __ref("stg"))',
            "UNKNOWN_COLUMN",
            4,
            "orderid",
            "order_id",
        ),
        (f"__source__raw AS (SELECT 1 AS id FROM WHERE),\n{EXPECTED_STG}", "SQL_SYNTAX", 2, "", ""),
        (
            f"__macro__x AS (SELECT 'a'),\n__source__raw AS (SELECT 1 AS id),\n{EXPECTED_STG}",
            "TEST_REFERENCE",
            2,
            "t: __macro__x: no model that the test runs calls the macro x",
            "remove it",
        ),
        (f"__macro__x AS (SELECT 1),\n{EXPECTED_STG}", "TEST_CTE", 2, "t: __macro__x must select one text", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_test_stands_at_its_line(make, shop, ctes, code, line, message, help):
    problems = make.problems(shop(f"TEST();\nWITH {ctes}"))
    problem = next((each for each in problems if each.code == code), None)
    assert problem is not None, problems
    assert (problem.path, problem.line) == ("tests/unit/t.sql", line), problems
    assert message in problem.message
    assert help in problem.help


def test_a_column_that_a_mock_must_give_is_missed_where_it_is_read(make, shop):
    columns = (RAW[0], dataclasses.replace(RAW[1], nullable=False))
    text = "TEST();\nWITH __source__needed AS (SELECT 1 AS id), __expected__reader AS (SELECT 1 AS id)"
    reader = make.model("reader", 'SELECT id,\n state FROM __source("needed")')
    (problem,) = make.problems(shop(text, make.source("needed", columns=columns), reader))
    assert problem.code == "MOCK_COLUMNS"
    assert "reader (models/reader.sql:6) cannot be computed from the mocks" in problem.message
    assert "state" in problem.message


def test_a_column_that_only_the_sql_proves_to_be_never_null_may_be_left_out(make, shop):
    text = """
        TEST ();
        WITH
        __ref__states AS (SELECT 1 AS id), __source__fixed AS (SELECT 1 AS id),
        __expected__reader AS (SELECT 1 AS id, NULL AS state, NULL AS kind)
    """
    states = make.model("states", "SELECT 1 AS id, coalesce(state, 'none') AS state FROM __source(\"raw\")")
    columns = (Column(name="id", type="INTEGER"), Column(name="kind", type="VARCHAR"))
    fixed = make.source("fixed", expression="SELECT 1 AS id, 'x' AS kind", columns=columns)
    reader = make.model(
        "reader", 'SELECT s.id, s.state, f.kind FROM __ref("states") AS s JOIN __source("fixed") AS f USING (id)'
    )
    assert make.problems(shop(text, states, fixed, reader)) == ()


def test_a_test_may_run_so_many_models_and_no_more(make, shop):
    text = "TEST();\nWITH __source__raw AS (SELECT 1 AS id), __expected__open_totals AS (SELECT 1 AS orders)"
    (problem,) = make.problems(shop(text, unit_test_max_real_models=2))
    assert problem.code == "TEST_MODELS"
    assert "it runs the real SQL of 3 models, and at most 2 are allowed" in problem.message
    assert "unit_test_max_real_models = 3" in problem.help
    assert make.problems(shop(text, unit_test_max_real_models=3)) == ()


def test_without_sql_analysis_only_the_warehouse_looks_at_the_sql(make, shop):
    text = "TEST (sql_analysis false);\nWITH __source__raw AS (SELECT 1 AS id FROM WHERE), __expected__stg AS (SELECT 1 AS nothing)"
    assert make.problems(shop(text)) == ()


DAILY = Incremental(
    strategy=IncrementalStrategy.APPEND,
    cursor="day",
    cursor_type=CursorType.TIMESTAMP,
    grain=Grain.DAY,
    inputs=(CursorInput(name="events", column="at"),),
)
WINDOWED = 'SELECT at AS day FROM __source("events") WHERE at >= __cursor_start() AND at < __cursor_end()'


@pytest.fixture
def daily(make):
    calls = tuple(CursorCall(bound=bound, place=Place("models/daily.sql", 5)) for bound in Bound)
    return make.source("events", columns=(Column(name="at", type="TIMESTAMP"),)), make.model(
        "daily", WINDOWED, materialized=Materialization.INCREMENTAL, incremental=DAILY, cursor_calls=calls
    )


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("", "1900-01-01 00:00:00", "2999-12-31 00:00:00"),
        ('cursor_start "2026-02-01"', "2026-02-01 00:00:00", "2999-12-31 00:00:00"),
        ('cursor_start "2026-02-01", cursor_end "2026-02-03"', "2026-02-01 00:00:00", "2026-02-03 00:00:00"),
    ],
)
def test_the_window_of_a_cursor_is_as_wide_as_the_test_wants_it(make, shop, daily, header, start, end):
    text = f"TEST ({header});\nWITH __source__events AS (SELECT now() AS at), __expected__daily AS (SELECT 1 AS day)"
    (verification,) = make.graph(shop(text, *daily)).nodes["test:t"].unit_test.verifications
    assert f"at >= TIMESTAMP '{start}' AND at < TIMESTAMP '{end}'" in verification.ctes.text


@pytest.mark.parametrize(
    ("header", "model", "message"),
    [
        ('cursor_start "soon"', "daily", "'soon' is no date or time"),
        ('cursor_start "2026-02-01 12:00:00"', "daily", "does not begin a day, which is the grain of daily"),
        ('cursor_start "2026-02-03", cursor_end "2026-02-03"', "daily", "is not before cursor_end 2026-02-03"),
        ('cursor_start "2026-02-01"', "stg", "no model that it runs calls __cursor_start()"),
    ],
)
def test_a_window_that_cannot_be_is_told(make, shop, daily, header, model, message):
    column = "day" if model == "daily" else "order_id"
    text = f"TEST ({header});\nWITH __source__raw AS (SELECT 1 AS id), __source__events AS (SELECT now() AS at), __expected__{model} AS (SELECT 1 AS {column})"
    problem = next(each for each in make.problems(shop(text, *daily)) if each.code == "TEST_WINDOW")
    assert message in problem.message
