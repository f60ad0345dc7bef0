from __future__ import annotations

from typing import Any

import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Materialization
from sqlbuild.domain.relation_options import Index

HERE = Place("models/m.sql", 3, 12)
LONG = "ü" * 32
"""32 characters, 64 bytes."""


def index(*columns: str, **fields: Any) -> Index:
    return Index(columns=columns, place=HERE, **fields)


def on(make: Any, adapter: str, *models: Any) -> list[str]:
    project = make.project(*models, settings=make.settings(adapter=adapter))
    return [f"{found.severity}[{found.code}] {found.message}" for found in make.problems(project)]


def table(make: Any, name: str = "m", sql: str = "SELECT 1 AS id, 'x' AS status", **fields: Any) -> Any:
    return make.model(name, sql, materialized=Materialization.TABLE, **fields)


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ({"alias": LONG}, "relation"),
        ({"schema": LONG}, "schema"),
        ({"sql": f"SELECT 1 AS {LONG}"}, "column"),
        ({"sql": f'SELECT 1 AS "{LONG}"'}, "column"),
        ({"indexes": (index("id", name=LONG),)}, "index"),
        ({"sql_analysis": False, "columns": (Column(name=LONG),)}, "column"),
    ],
)
def test_postgres_refuses_names_of_more_than_63_bytes(make: Any, model: dict[str, Any], what: str) -> None:
    (problem,) = make.problems(make.project(table(make, **model), settings=make.settings(adapter="postgres")))
    assert (problem.code, problem.path) == ("LONG_NAME", "models/m.sql")
    assert f"the name of the {what} {LONG}... has 64 bytes" in problem.message
    assert on(make, "duckdb", table(make, **model)) == []


def test_postgres_refuses_long_names_of_the_target_and_of_sources_too(make: Any) -> None:
    settings = make.settings(adapter="postgres", schema="s" * 64)
    source = make.source("raw", table="t" * 64, columns=(Column(name="c" * 64),))
    problems = make.problems(make.project(source, settings=settings))
    assert [problem.path for problem in problems] == ["sources/raw.yml"] * 2 + ["sqlbuild_project.toml"]
    assert {problem.code for problem in problems} == {"LONG_NAME"}


def test_a_name_of_63_bytes_is_kept_whole(make: Any) -> None:
    sql = f"SELECT 1 AS {'ü' * 31}x"
    assert on(make, "postgres", table(make, alias="t" * 63, sql=sql)) == []


def test_models_and_sources_on_postgres_are_in_the_database_of_the_connection(make: Any) -> None:
    items = (table(make, database="sales"), make.source("raw", database="sales", schema="x", table="y"))
    assert [line.partition("]")[0] for line in on(make, "postgres", *items)] == ["error[OTHER_DATABASE"] * 2


def test_a_view_has_no_indexes(make: Any) -> None:
    for adapter in ("duckdb", "postgres"):
        (found,) = on(make, adapter, make.model("m", indexes=(index("one"),)))
        assert found == "error[VIEW_INDEX] m is a view, which has no indexes"


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (index("idd"), "idd"),
        (index("ID DESC", "statuss NULLS FIRST"), "statuss"),
        (index("id", include=("stat",)), "stat"),
        (index('"ID"'), "ID"),
    ],
)
def test_an_index_is_made_of_columns_of_the_query(make: Any, written: Index, named: str) -> None:
    project = make.project(table(make, indexes=(written,)), settings=make.settings(adapter="postgres"))
    (problem,) = make.problems(project)
    assert problem.message == f"m: an index is made of the column {named}, which the query does not give"
    assert (problem.path, problem.line, problem.column) == ("models/m.sql", 3, 12)


def test_expressions_and_names_in_any_case_are_left_to_the_warehouse(make: Any) -> None:
    written = (index("Id", "lower(nothing)", "(status || 'x') DESC", '"status" COLLATE "C"'),)
    assert on(make, "postgres", table(make, indexes=written)) == []
    assert on(make, "postgres", table(make, sql_analysis=False, indexes=(index("unknown"),))) == []


def test_names_of_indexes_are_given_once_in_a_schema(make: Any) -> None:
    first = table(make, "a", indexes=(index("id", name="by_id"),))
    (found,) = on(make, "postgres", first, table(make, "b", indexes=(index("id", name="By_Id"),)))
    assert found == "error[DUPLICATE_INDEX] b has an index By_Id, which is also an index of a in that schema"
    assert on(make, "postgres", first, table(make, "b", schema="x", indexes=(index("id", name="by_id"),))) == []
    (found,) = on(make, "postgres", first, table(make, "b", alias="by_id"))
    assert found == "error[DUPLICATE_INDEX] a has an index by_id, which is also the table or view of b in that schema"


def test_what_duckdb_does_not_have_is_one_warning_for_all_models(make: Any) -> None:
    models = [
        table(make, name, grants={"select": ("reader",)}, indexes=(index("id", unique=True), index("id", using="brin")))
        for name in ("a", "b", "c")
    ]
    assert on(make, "postgres", *models) == []
    graph = make.graph(make.project(*models))
    assert [(found.severity, found.message) for found in graph.warnings] == [
        ("warning", "a (and 2 more) declares grants, which DuckDB does not have: it is left out"),
        (
            "warning",
            "a (and 2 more) declares an index with `where`, `using`, `include` or an operator class, which DuckDB does "
            "not have: it is left out",
        ),
    ]


def test_plain_indexes_are_nothing_to_warn_of_on_duckdb(make: Any) -> None:
    written = (index("id", "status DESC"), index("lower(status)", unique=True), index("(id + 1)", using="art"))
    graph = make.graph(make.project(table(make, indexes=written)))
    assert graph.warnings == ()


@pytest.mark.parametrize(
    ("sql", "called"),
    [
        ("SELECT 1 AS a\nFROM read_csv('a.csv')", "read_csv"),
        ("SELECT * FROM READ_PARQUET ('a.parquet')", "READ_PARQUET"),
        ("SELECT * FROM ours.read_csv('a.csv')", None),
        ("SELECT 'read_csv(' AS read_csv -- read_csv(", None),
    ],
)
def test_a_file_that_postgresql_cannot_read_is_named(make: Any, sql: str, called: str | None) -> None:
    for adapter in ("postgres", "duckdb"):
        project = make.project(make.model("m", sql, sql_analysis=False), settings=make.settings(adapter=adapter))
        expected = [f"m calls {called}, with which DuckDB reads files and PostgreSQL cannot"]
        told = [found.message for found in make.graph(project).warnings]
        assert told == (expected if called is not None and adapter == "postgres" else [])
