from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Materialization
from sqlbuild.errors import Problem


def names_and_types(columns: tuple[Column, ...] | None) -> list[tuple[str, str | None]] | None:
    return None if columns is None else [(column.name, column.type) for column in columns]


def test_columns_go_from_node_to_node(make: Any) -> None:
    raw = make.source("raw", columns=(Column(name="id", type="int4"), Column(name="note")))
    stg = make.model("stg", 'SELECT *, id + 1 AS next FROM __source("raw")')
    graph = make.graph(make.project(make.model("mart", 'SELECT next, note FROM __ref("stg")'), stg, raw))
    assert list(graph.nodes) == ["source:raw", "model:stg", "model:mart"]
    assert names_and_types(graph.nodes["source:raw"].columns) == [("id", "int4"), ("note", None)]
    assert names_and_types(graph.nodes["model:mart"].columns) == [("next", "INTEGER"), ("note", None)]
    assert graph.nodes["model:mart"].column_lineage == {
        "next": (ColumnReference("model:stg", "next"),),
        "note": (ColumnReference("model:stg", "note"),),
    }


def test_what_is_declared_wins_and_is_completed_by_what_is_inferred(make: Any) -> None:
    declared = (Column(name="b", type="VARCHAR", nullable=False, description="why"), Column(name="A"))
    model = make.model("m", "SELECT 1 AS a, 2 AS b", columns=declared, materialized=Materialization.TABLE)
    assert make.graph(make.project(model)).nodes["model:m"].columns == (
        Column(name="A", type="INTEGER", nullable=False),
        Column(name="b", type="VARCHAR", nullable=False, description="why"),
    )


def test_a_declared_column_that_the_query_does_not_give_is_a_problem(make: Any) -> None:
    (problem,) = make.problems(make.project(make.model("m", "SELECT 1 AS id", columns=(Column(name="idd"),))))
    assert (problem.code, problem.help) == ("MISSING_COLUMN", 'did you mean "id"?')


def test_declared_columns_of_a_query_that_is_not_understood_are_kept(make: Any) -> None:
    model = make.model("m", "SELECT * FROM read_csv('x.csv')", columns=(Column(name="id"),))
    reader = make.model("n", 'SELECT id, other FROM __ref("m")')
    graph = make.graph(make.project(model, reader))
    assert graph.nodes["model:m"].columns == (Column(name="id"),)
    assert graph.nodes["model:m"].notes == ("columns not checked: * of read_csv(): a table function",)
    assert names_and_types(graph.nodes["model:n"].columns) == [("id", None), ("other", None)]


def test_an_unknown_column_has_its_place_in_the_users_file(make: Any) -> None:
    stg = make.model("stg_orders", "SELECT 1 AS order_id, 2 AS amount")
    fact = make.model("fact", 'SELECT\n  o.order_id,\n  o.amuont\nFROM __ref("stg_orders") o')
    (problem,) = make.problems(make.project(stg, fact))
    assert (problem.code, problem.path, problem.line, problem.column) == ("UNKNOWN_COLUMN", "models/fact.sql", 7, 5)
    assert problem.message == "fact: unknown column amuont in o (stg_orders)"
    assert problem.help == "did you mean amount?"


def test_places_on_the_first_line_count_from_where_the_query_begins(make: Any) -> None:
    model = make.model("m", "SELECT nope FROM (SELECT 1 AS a)", sql_column=9)
    (problem,) = make.problems(make.project(model))
    assert (problem.line, problem.column) == (5, 16)


def test_an_unknown_column_of_a_declared_source_is_a_problem(make: Any) -> None:
    raw = make.source("raw", columns=(Column(name="id"),))
    (problem,) = make.problems(make.project(raw, make.model("m", 'SELECT idd FROM __source("raw")')))
    assert problem.code == "UNKNOWN_COLUMN"


def test_a_source_that_declares_some_columns_may_have_others(make: Any) -> None:
    columns = (Column(name="id", type="INTEGER"),)
    raw = make.source("raw", schema="raw", columns=columns, has_other_columns=True)
    items = (
        raw,
        make.model("m", 'SELECT id, other FROM __source("raw")'),
        make.model("n", 'SELECT * FROM __source("raw")'),
    )
    graph = make.graph(make.project(*items, make.model("o", 'SELECT other, more FROM __ref("n")')))
    assert names_and_types(graph.nodes["model:m"].columns) == [("id", "INTEGER"), ("other", None)]
    assert graph.nodes["model:n"].columns is None
    assert names_and_types(graph.nodes["model:o"].columns) == [("other", None), ("more", None)]
    assert "REPLACE" in graph.nodes["source:raw"].sql
    # Only what is named can be cast on PostgreSQL, and then there would be no other columns.
    on_postgres = make.graph(make.project(*items, settings=make.settings(adapter="postgres")))
    assert on_postgres.nodes["source:raw"].sql is None
    assert on_postgres.nodes["model:m"].sql == 'SELECT id, other FROM "raw"."raw"'


def test_a_source_without_columns_leaves_everything_open(make: Any) -> None:
    graph = make.graph(make.project(make.source("raw"), make.model("m", 'SELECT a, b FROM __source("raw")')))
    node = graph.nodes["model:m"]
    assert names_and_types(node.columns) == [("a", None), ("b", None)]
    assert node.column_lineage["a"] == (ColumnReference("source:raw", "a"),)


def test_one_wrong_model_does_not_make_its_readers_wrong(make: Any) -> None:
    wrong = make.model("a", "SELECT nope FROM (SELECT 1 AS x)")
    problems = make.problems(make.project(wrong, make.model("b", 'SELECT anything FROM __ref("a")')))
    assert [problem.path for problem in problems] == ["models/a.sql"]


def test_broken_sql_is_a_problem_with_line_and_column(make: Any) -> None:
    (problem,) = make.problems(make.project(make.model("m", "SELECT a\nFROM x WHERE (")))
    assert (problem.code, problem.line, problem.column) == ("SQL_SYNTAX", 6, 14)


def test_sql_that_could_not_be_read_is_not_analysed_again(make: Any) -> None:
    told = Problem(code="SQL_SYNTAX", message="never closed", path="models/m.sql", line=5)
    assert make.problems(make.project(make.model("m", "SELECT 'x"), problems=[told])) == (told,)


def test_a_problem_in_the_header_does_not_hide_one_in_the_query(make: Any) -> None:
    told = Problem(code="UNKNOWN_KEY", message="unknown key", path="models/m.sql", line=2)
    problems = make.problems(make.project(make.model("m", "SELECT ("), problems=[told]))
    assert [problem.code for problem in problems] == ["UNKNOWN_KEY", "SQL_SYNTAX"]


def test_analysis_can_be_turned_off_for_a_model(make: Any) -> None:
    model = make.model("m", "SELECT BRAND NEW SYNTAX", sql_analysis=False, columns=(Column(name="a"),))
    node = make.graph(make.project(model)).nodes["model:m"]
    assert node.columns == (Column(name="a"),)
    assert node.notes == ("columns not checked: sql_analysis is off",)


def test_relations_come_from_the_target_unless_a_model_says_otherwise(make: Any) -> None:
    graph = make.graph(
        make.project(
            make.model("a"),
            make.model("b", schema="marts", database="other", alias="bee"),
            make.source("c"),
            make.source("d", schema="raw", table="dee"),
        )
    )
    relations = [node.relation for node in graph.nodes.values()]
    assert relations == [
        Relation("", "dev", "a"),
        Relation("other", "marts", "bee"),
        Relation("", "dev", "c"),
        Relation("", "raw", "dee"),
    ]


def test_references_are_replaced_by_quoted_relations(make: Any) -> None:
    sql = 'SELECT a.one\nFROM __ref("a") AS a, __source("raw") -- the end'
    graph = make.graph(make.project(make.model("a"), make.source("raw", schema="ext"), make.model("b", sql)))
    assert graph.nodes["model:b"].sql == 'SELECT a.one\nFROM "dev"."a" AS a, "ext"."raw" -- the end'


def test_an_expression_is_read_as_a_query_with_the_sources_name(make: Any) -> None:
    raw = make.source("raw", expression="SELECT 1 AS id -- one\n, 2 AS n")
    graph = make.graph(make.project(raw, make.model("m", 'SELECT raw.id, n FROM __source("raw")')))
    assert names_and_types(graph.nodes["source:raw"].columns) == [("id", "INTEGER"), ("n", "INTEGER")]
    assert graph.nodes["source:raw"].relation is None
    assert graph.nodes["source:raw"].sql == "SELECT 1 AS id -- one\n, 2 AS n"
    assert graph.nodes["model:m"].sql == 'SELECT raw.id, n FROM (SELECT 1 AS id , 2 AS n) AS "raw"'


def test_declared_types_of_a_table_model_are_enforced(make: Any) -> None:
    columns = (Column(name="id", type="BIGINT"), Column(name="n"))
    sql = "SELECT 1 AS id, 2 AS n\n-- done"
    table = make.model("t", sql, columns=columns, materialized=Materialization.TABLE)
    view = make.model("v", sql, columns=columns)
    graph = make.graph(make.project(table, view))
    assert graph.nodes["model:t"].sql == f'SELECT * REPLACE (CAST("id" AS BIGINT) AS "id") FROM ({sql}\n)'
    assert graph.nodes["model:v"].sql == sql
    assert graph.nodes["model:v"].notes == (
        "id is declared BIGINT, but the query gives INTEGER and a view is not cast",
    )


def test_declared_types_of_sources_are_enforced_when_they_are_read(make: Any) -> None:
    columns = (Column(name="id", type="BIGINT"),)
    table = make.source("t", schema="raw", table="tee", columns=columns)
    expression = make.source("e", expression="read_csv('e.csv')", columns=columns)
    sql = 'SELECT * FROM __source("t") JOIN __source("e") AS other USING (id)'
    graph = make.graph(make.project(table, expression, make.model("m", sql)))
    cast = 'SELECT * REPLACE (CAST("id" AS BIGINT) AS "id") FROM'
    assert graph.nodes["model:m"].sql == (
        f'SELECT * FROM ({cast} "raw"."tee") AS "tee" '
        f"JOIN ({cast} (SELECT * FROM read_csv('e.csv'))) AS other USING (id)"
    )
    assert graph.nodes["source:t"].relation == Relation("", "raw", "tee")
    uncast = make.source("t", schema="raw", table="tee", columns=columns, type_enforcement=False)
    changed = make.graph(make.project(uncast, make.model("m", 'SELECT * FROM __source("t")')))
    assert changed.nodes["model:m"].sql == 'SELECT * FROM "raw"."tee"'
    assert changed.nodes["source:t"].fingerprint.settings != graph.nodes["source:t"].fingerprint.settings


def test_a_problem_in_an_expression_has_its_line_in_the_yaml_file(make: Any) -> None:
    raw = make.source("raw", expression="SELECT 1 AS id,\n nope\nFROM (SELECT 2 AS x)", expression_line=7)
    (problem,) = make.problems(make.project(raw))
    assert (problem.code, problem.path, problem.line, problem.column) == ("UNKNOWN_COLUMN", "sources/raw.yml", 8, None)


def test_a_table_of_another_model_that_is_read_by_its_name_is_warned_of(make: Any) -> None:
    graph = make.graph(make.project(make.model("a"), make.model("b", "SELECT * FROM dev.a"), make.model("c", "FROM x")))
    (warning,) = graph.warnings
    assert (warning.code, warning.severity, warning.column) == ("NAMED_TABLE", "warning", 15)
    assert warning.help == 'write __ref("a")'


def test_a_cycle_does_not_stop_the_inference_elsewhere(make: Any) -> None:
    project = make.project(
        make.model("a", 'SELECT * FROM __ref("b")'),
        make.model("b", 'SELECT * FROM __ref("a")'),
        make.model("c", "SELECT nope FROM (SELECT 1 AS x)"),
    )
    assert [problem.code for problem in make.problems(project)] == ["CYCLE", "UNKNOWN_COLUMN"]


def test_an_expression_that_the_parser_does_not_understand_is_a_warning(make: Any) -> None:
    raw = make.source("raw", expression="SELECT x! AS f FROM t", columns=(Column(name="f"),), expression_line=4)
    graph = make.graph(make.project(raw, make.model("m", 'SELECT f FROM __source("raw")')))
    (warning,) = graph.warnings
    assert (warning.code, warning.severity, warning.line) == ("SQL_SYNTAX", "warning", 4)
    assert names_and_types(graph.nodes["model:m"].columns) == [("f", None)]


def test_a_model_that_the_parser_does_not_understand_is_told_the_way_out(make: Any) -> None:
    (problem,) = make.problems(make.project(make.model("m", "SELECT x! AS f FROM t")))
    assert (problem.code, problem.severity) == ("SQL_SYNTAX", "error")
    assert "`sql_analysis false`" in problem.help


GIVES = "SELECT 1 AS id, CASE WHEN random() > 0.5 THEN 'x' END AS note"
CONTRACTS = [
    ({}, "implicit", ["id", "note"], []),
    ({}, "implicit", ["id"], []),
    ({}, "implicit", ["idd"], ["MISSING_COLUMN"]),
    ({}, "explicit", ["idd"], []),
    ({"contract": "none"}, "implicit", ["idd"], []),
    ({"contract": "enforced"}, "explicit", ["idd", "note"], ["EXTRA_COLUMN", "MISSING_COLUMN"]),
    ({"contract": "enforced"}, "implicit", ["ID", "note"], []),
    ({"contract": "enforced"}, "implicit", ["id"], ["EXTRA_COLUMN"]),
    ({"contract": "enforced"}, "implicit", [], ["CONTRACT"]),
]


@pytest.mark.parametrize(("header", "mode", "names", "codes"), CONTRACTS)
def test_declared_columns_are_a_contract(
    header: dict[str, Any], mode: str, names: list[str], codes: list[str], make: Any
) -> None:
    model = make.model("m", GIVES, columns=tuple(Column(name=name) for name in names), **header)
    project = make.project(model)
    run = dataclasses.replace(project.settings.run, column_contract_mode=mode)
    project = dataclasses.replace(project, settings=dataclasses.replace(project.settings, run=run))
    assert [problem.code for problem in make.problems(project)] == codes


def test_a_column_that_can_be_null_breaks_a_contract_that_says_otherwise(make: Any) -> None:
    columns = (Column(name="id", nullable=False), Column(name="note", nullable=False))
    (problem,) = make.problems(make.project(make.model("m", GIVES, columns=columns)))
    assert (problem.code, problem.path, problem.line) == ("NULLABLE_COLUMN", "models/m.sql", 1)
    assert problem.message == "m declares the column note as nullable false, but its query can give NULL there"
    assert make.problems(make.project(make.model("m", GIVES, columns=columns, contract="none"))) == ()


def test_null_is_followed_from_node_to_node(make: Any) -> None:
    raw = make.source("raw", columns=(Column(name="id", nullable=False), Column(name="note")))
    stg = make.model("stg", 'SELECT id, note FROM __source("raw")')
    mart = make.model(
        "mart", 'SELECT a.id, b.id AS other FROM __ref("stg") a LEFT JOIN __ref("stg") b ON a.note = b.note'
    )
    columns = make.graph(make.project(mart, stg, raw)).nodes["model:mart"].columns
    assert [(column.name, column.nullable) for column in columns] == [("id", False), ("other", True)]


def test_the_type_of_an_enforced_view_must_be_what_is_declared(make: Any) -> None:
    columns = (Column(name="id", type="BIGINT"),)
    (problem,) = make.problems(make.project(make.model("m", "SELECT 1 AS id", columns=columns, contract="enforced")))
    assert problem.message == "m declares the column id as BIGINT, but its query gives INTEGER"
    table = make.model("m", "SELECT 1 AS id", columns=columns, contract="enforced", materialized=Materialization.TABLE)
    assert make.problems(make.project(table)) == ()


def test_the_columns_of_a_seed_are_those_it_declares(make: Any) -> None:
    seed = make.seed("countries", columns=(Column(name="code", type="VARCHAR"), Column(name="size", type="INTEGER")))
    mart = make.model("mart", 'SELECT code, size * 2 AS twice FROM __seed("countries") AS c')
    graph = make.graph(make.project(mart, seed))
    assert graph.nodes["seed:countries"].relation == Relation("", "dev", "countries")
    assert names_and_types(graph.nodes["model:mart"].columns) == [("code", "VARCHAR"), ("twice", "INTEGER")]
    assert graph.nodes["model:mart"].column_lineage["twice"] == (
        ColumnReference("seed:countries", "size", transform="expression"),
    )
    assert graph.nodes["model:mart"].sql == 'SELECT code, size * 2 AS twice FROM "dev"."countries" AS c'
    (problem,) = make.problems(make.project(make.model("m", 'SELECT cod FROM __seed("countries")'), seed))
    assert (problem.code, problem.help) == ("UNKNOWN_COLUMN", "did you mean code?")


def test_a_seed_that_is_read_by_its_name_is_told_how_to_read_it(make: Any) -> None:
    graph = make.graph(make.project(make.seed("countries"), make.model("m", "SELECT * FROM dev.countries")))
    (warning,) = graph.warnings
    assert (warning.code, warning.help) == ("NAMED_TABLE", 'write __seed("countries")')
