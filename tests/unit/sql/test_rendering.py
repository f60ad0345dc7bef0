from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place, Relation
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.refs import Reference, source
from sqlbuild.sql.rendering import (
    Readable,
    has_alias_behind,
    in_brackets,
    one_line,
    quote_identifier,
    quote_relation,
    render_casts,
    render_columns,
    render_readable_anywhere,
    render_references,
    render_source_expression,
)


def references(sql: str) -> list[SqlReference]:
    return [
        SqlReference(
            reference=Reference("source", found[1]), start=found.start(), end=found.end(), place=Place("m.sql")
        )
        for found in re.finditer(r'__source\("(\w+)"\)', sql)
    ]


def rendered(sql: str, readable: Readable) -> str:
    return render_references(sql, references(sql), {source("raw"): readable})


INLINE = Readable(alias="raw", query="(SELECT 1 AS id)")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30))
def test_a_quoted_name_is_that_name(name: str) -> None:
    ((column,),) = duckdb.execute(f"SELECT column_name FROM (DESCRIBE SELECT 1 AS {quote_identifier(name)})").fetchall()
    assert column == name


def test_a_relation_is_quoted_part_by_part() -> None:
    assert quote_relation(Relation("", "main", 'a"b.c')) == '"main"."a""b.c"'
    assert quote_relation(Relation("db", "main", "t")) == '"db"."main"."t"'


def test_a_reference_becomes_its_relation_and_nothing_else_changes() -> None:
    sql = 'SELECT *\n  FROM __source("raw") -- a\nJOIN __source("other") USING (x)'
    relation = Readable(alias="t", relation=Relation("", "s", "t"))
    assert rendered(sql, relation) == 'SELECT *\n  FROM "s"."t" -- a\nJOIN __source("other") USING (x)'


@pytest.mark.parametrize(
    "behind",
    ["", " WHERE 1=1", "\n-- comment\nJOIN x", ") t", ", x", " LEFT JOIN y", " /* c */ WHERE", ";", " USING SAMPLE 5",
     " TABLESAMPLE 10%", " PIVOT (a FOR b IN (1))", " UNION ALL", " Group By 1"],
)  # fmt: skip
def test_a_query_gets_the_sources_name_as_alias(behind: str) -> None:
    assert rendered(f'FROM __source("raw"){behind}', INLINE) == f'FROM (SELECT 1 AS id) AS "raw"{behind}'


@pytest.mark.parametrize("behind", [" AS r", " r", ' "r"', "\n  -- c\n r", " as r (id)", "/**/x"])
def test_a_query_keeps_the_alias_that_is_given_to_it(behind: str) -> None:
    assert rendered(f'FROM __source("raw"){behind}', INLINE) == f"FROM (SELECT 1 AS id){behind}"


def test_what_stands_behind_need_not_be_readable() -> None:
    assert not has_alias_behind("x 'never closed", 1)


@pytest.mark.parametrize(
    ("expression", "query"),
    [
        ("SELECT 1 AS a", "(SELECT 1 AS a)"),
        ("  select 1;  ", "(select 1)"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "(WITH x AS (SELECT 1) SELECT * FROM x)"),
        ("FROM range(3)", "(FROM range(3))"),
        ("(SELECT 1) UNION (SELECT 2)", "((SELECT 1) UNION (SELECT 2))"),
        ("VALUES (1)", "(VALUES (1))"),
        ("read_csv('a.csv')", "(SELECT * FROM read_csv('a.csv'))"),
        ("raw.orders", "(SELECT * FROM raw.orders)"),
        ("'data/*.parquet'", "(SELECT * FROM 'data/*.parquet')"),
        ("-- all\nSELECT 1 -- one\n  AS a", "(SELECT 1 AS a)"),
        ("SELECT '-- no\n comment' /* x */ AS a", "(SELECT '-- no\n comment' AS a)"),
    ],
)
def test_an_expression_becomes_a_query_in_brackets(expression: str, query: str) -> None:
    assert render_source_expression(expression) == query


def test_sql_on_one_line_means_the_same() -> None:
    sql = "SELECT 1 -- one\n - -1 AS a, e'it\\'s' AS b, $$x\ny$$ AS c, 'a''b' /* /* */ */ AS d"
    assert duckdb.execute(one_line(sql)).fetchall() == duckdb.execute(sql).fetchall()


def test_casts_are_put_around_a_query_without_moving_its_lines() -> None:
    query = "SELECT 1 AS a,\n 2 AS b -- last"
    columns = [Column(name="a", type="BIGINT"), Column(name="b")]
    sql = render_casts(in_brackets(query), columns)
    assert sql.splitlines()[1] == " 2 AS b -- last"
    assert [row[1] for row in duckdb.execute(f"DESCRIBE {sql}").fetchall()] == ["BIGINT", "INTEGER"]


def test_columns_are_listed_with_casts_where_star_cannot_be_replaced() -> None:
    columns = [Column(name="A", type="bigint"), Column(name="b")]
    assert render_columns("raw.t", columns) == 'SELECT CAST("A" AS bigint) AS "A", "b" FROM raw.t'


def test_a_source_of_postgresql_can_be_read_with_an_alias_and_without() -> None:
    sql = render_source_expression(render_readable_anywhere("SELECT 1 AS a -- one", "raw"))
    assert sql == '((SELECT 1 AS a) AS "raw" CROSS JOIN (SELECT) AS "_")'


def test_without_types_there_are_no_casts() -> None:
    assert render_casts("SELECT 1", [Column(name="a")]) == "SELECT 1"
