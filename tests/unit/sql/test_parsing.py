from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from sqlbuild.sql.query_analysis import QueryAnalysis

Analyse = Callable[..., QueryAnalysis]


@pytest.mark.parametrize(
    ("sql", "place", "message"),
    [
        ("SELECT a FORM t WHERE", "1:15", '"t" is not expected here'),
        ("SELECT a\nFROM t WHERE (a = 1", "2:14", 'this "(" is never closed'),
        ("SELECT a)\nFROM t", "1:9", 'this ")" closes nothing'),
        ("SELECT [1, 2) AS a", "1:13", 'this ")" closes nothing'),
        ("SELECT 'a FROM t", "1:8", "this string is never closed"),
        ("SELECT 1 /* a", "1:10", "this comment is never closed"),
        ('SELECT "a FROM t', "1:8", "this quoted name is never closed"),
        ("SELECT 1; SELECT 2", "1:11", "a second statement starts here"),
        ("SELECT CASE WHEN a THEN b FROM c", "1:25", 'expected END after CASE near "b"'),
        ("SELEC 1", "1:7", '"1" is not expected here'),
        ("SELECT raw.orders frm b", "1:23", '"b" is not expected here'),
    ],
)
def test_broken_sql_is_told_with_its_place(sql: str, place: str, message: str, analyse: Analyse) -> None:
    (finding,) = analyse(sql).findings
    assert (finding.code, f"{finding.line}:{finding.column}", finding.message) == ("SQL_SYNTAX", place, message)
    assert finding.help


@pytest.mark.parametrize("sql", ["", "  -- nothing\n", ";"])
def test_no_query_at_all_is_told(sql: str, analyse: Analyse) -> None:
    (finding,) = analyse(sql).findings
    assert finding.code in ("SQL_SYNTAX", "NOT_A_QUERY")


@pytest.mark.parametrize(
    "sql",
    ["CREATE TABLE x AS SELECT 1", "INSERT INTO t SELECT 1", "drop table x", "UPDATE t SET a = 1", "COPY t TO 'x'",
     "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "selct a", "1 + 1", "CALL f()", "SET x = 1", "EXPLAIN FROM t"],
)  # fmt: skip
def test_what_is_no_query_is_told(sql: str, analyse: Analyse) -> None:
    (finding,) = analyse(sql).findings
    assert (finding.code, finding.line, finding.column) == ("NOT_A_QUERY", 1, 1)


def test_a_final_semicolon_is_fine(analyse: Analyse) -> None:
    assert analyse("SELECT 1 AS a;;\n-- end").findings == ()


@pytest.mark.parametrize(
    "sql",
    ["SELECT " + "(" * 5000 + "1" + ")" * 5000 + " AS a",
     "SELECT " + "f(" * 5000 + "1" + ")" * 5000 + " AS a",
     "SELECT * FROM (" * 3000 + "SELECT 1 AS a" + ")" * 3000,
     "SELECT " + "[" * 2000 + "]" * 2000 + " AS a"],
)  # fmt: skip
def test_a_query_that_is_nested_too_deeply_gets_a_note(sql: str, analyse: Analyse) -> None:
    found = analyse(sql)
    assert (found.columns, found.findings) == (None, ())
    assert found.notes[0].startswith("columns not checked: ")


@pytest.mark.parametrize(
    "sql",
    ["SELECT " + "CASE WHEN x THEN " * 3000 + "1" + " END" * 3000 + " AS a FROM stg.a",
     "SELECT " + "NOT " * 20_000 + "true AS a",
     "SELECT " + "- " * 20_000 + "1 AS a"],
)  # fmt: skip
def test_depth_without_brackets_is_survived_too(sql: str, analyse: Analyse) -> None:
    assert analyse(sql).findings == ()


@pytest.mark.parametrize(
    "sql",
    ["SELECT " + " + ".join(["x"] * 3000) + " AS a FROM stg.a",
     "SELECT x AS a FROM stg.a WHERE " + " OR ".join(f"x = {n}" for n in range(3000)),
     "SELECT " + " / ".join(["x"] * 300) + " AS a FROM stg.a",
     "SELECT " + "coalesce(x, " * 35 + "x" + ")" * 35 + " AS a FROM stg.a",
     "SELECT x AS a FROM stg.a WHERE x IN (" + ", ".join(map(str, range(20_000))) + ")",
     " UNION ALL ".join(f"SELECT {n} AS a" for n in range(1000))],
)  # fmt: skip
def test_long_queries_are_read(sql: str, analyse: Analyse) -> None:
    found = analyse(sql)
    assert found.columns is not None
    assert [column.name for column in found.columns] == ["a"]


def test_the_parsers_own_log_is_not_shown(analyse: Analyse, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        analyse("SHOW ALL TABLES")
        analyse("SELECT * FROM (SUMMARIZE stg.a)")
    assert caplog.records == []
