"""Random queries, held against what DuckDB itself says about them."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlbuild.sql.query_analysis import QueryAnalysis

TABLES = {"stg.a": ["x", "y"], "stg.b": ["x", "z"], "stg.wide": ["X", "Z", "w", "d"]}
JOINS = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]


@st.composite
def relations(draw: st.DrawFn, depth: int) -> str:
    kind = draw(st.sampled_from(["table", "table", "query"] if depth else ["table"]))
    if kind == "query":
        return f"({draw(queries(depth=depth - 1))})"
    return draw(st.sampled_from(sorted(TABLES)))


@st.composite
def from_clauses(draw: st.DrawFn, depth: int) -> tuple[str, list[str]]:
    aliases = ["t1"]
    text = f"{draw(relations(depth))} t1"
    for number in range(draw(st.integers(0, 2))):
        alias = f"t{number + 2}"
        right = f"{draw(relations(depth))} {alias}"
        join = draw(st.sampled_from(JOINS))
        shape = draw(st.sampled_from(["using", "on", "natural", "comma", "semi"]))
        match shape:
            case "using":
                text += f" {join} {right} USING (x)"
            case "on":
                text += f" {join} {right} ON true"
            case "natural":
                text += f" NATURAL {join} {right}"
            case "comma":
                text += f", {right}"
            case _:
                text += f" SEMI JOIN {right} ON true"
                continue
        aliases.append(alias)
    return text, aliases


COLUMNS = st.sampled_from(["x", "X", "y", "z", "Z", "w", "d", "a1", "x_1"])


@st.composite
def expressions(draw: st.DrawFn, aliases: list[str]) -> str:
    column = draw(COLUMNS)
    if draw(st.booleans()):
        column = f"{draw(st.sampled_from(aliases))}.{column}"
    return draw(
        st.sampled_from(
            [
                column,
                f"{column} + 1",
                f"coalesce({column}, 0)",
                f"CASE WHEN {column} > 1 THEN {column} END",
                f"({column})",
                f"(SELECT max({column}) FROM stg.b)",
                f"CAST({column} AS VARCHAR)",
                f"sum({column}) OVER (ORDER BY {column})",
                f"{column} * 2.5",
                f"-{column}",
            ]
        )
    )


@st.composite
def select_items(draw: st.DrawFn, aliases: list[str]) -> str:
    match draw(
        st.sampled_from(["star", "qualified", "except", "rename", "replace", "column", "expression", "expression"])
    ):
        case "star":
            return "*"
        case "qualified":
            return f"{draw(st.sampled_from(aliases))}.*"
        case "except":
            return f"* EXCLUDE ({draw(COLUMNS)})"
        case "rename":
            return f"* RENAME ({draw(COLUMNS)} AS {draw(COLUMNS)})"
        case "replace":
            return f"* REPLACE (1 AS {draw(COLUMNS)})"
        case "column":
            return draw(COLUMNS)
        case _:
            return f"{draw(expressions(aliases))} AS {draw(st.sampled_from(['a1', 'x', 'Q']))}"


@st.composite
def queries(draw: st.DrawFn, depth: int = 2) -> str:
    text, aliases = draw(from_clauses(depth))
    items = ", ".join(draw(st.lists(select_items(aliases), min_size=1, max_size=3)))
    query = f"SELECT {items} FROM {text}"
    if draw(st.booleans()):
        query += f" WHERE {draw(expressions(aliases))} IS NOT NULL"
    if depth and draw(st.integers(0, 3)) == 0:
        operation = draw(st.sampled_from(["UNION ALL", "UNION ALL BY NAME", "EXCEPT", "INTERSECT"]))
        query = f"{query} {operation} ({draw(queries(depth=depth - 1))})"
    if depth and draw(st.integers(0, 3)) == 0:
        query = f"WITH t9 AS ({draw(queries(depth=depth - 1))}) SELECT * FROM t9, ({query}) t8"
    return query


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(sql=queries())
def test_random_queries_are_read_as_duckdb_reads_them(
    warehouse: duckdb.DuckDBPyConnection, analyse: Callable[..., QueryAnalysis], sql: str
) -> None:
    found = analyse(sql)
    try:
        warehouse.execute(f"CREATE OR REPLACE TEMP TABLE random_query AS {sql} WITH NO DATA")
    except (duckdb.BinderException, duckdb.ParserException):
        return
    real = warehouse.execute("DESCRIBE random_query").fetchall()
    assert found.findings == ()
    if found.columns is None:
        assert found.notes
        return
    assert [column.name.lower() for column in found.columns] == [row[0].lower() for row in real]
    for column, row in zip(found.columns, real, strict=True):
        assert column.type in (None, row[1])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(sql=queries(), unknown=st.sets(st.sampled_from(sorted(TABLES)), min_size=1))
def test_nothing_is_said_that_depends_on_unknown_columns(
    warehouse: duckdb.DuckDBPyConnection, analyse: Callable[..., QueryAnalysis], sql: str, unknown: set[str]
) -> None:
    found = analyse(sql, unknown=frozenset(unknown))
    try:
        warehouse.execute(f"CREATE OR REPLACE TEMP TABLE random_query AS {sql} WITH NO DATA")
    except (duckdb.BinderException, duckdb.ParserException):
        return
    assert found.findings == ()
    if found.columns is not None:
        real = [row[0].lower() for row in warehouse.execute("DESCRIBE random_query").fetchall()]
        assert [column.name.lower() for column in found.columns] == real
