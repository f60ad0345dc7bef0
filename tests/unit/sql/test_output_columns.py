from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from sqlbuild.sql.query_analysis import QueryAnalysis

FOLDER = Path(__file__).parent


def lines(name: str) -> list[str]:
    return [line for line in (FOLDER / name).read_text().splitlines() if line and not line.startswith("--")]


@pytest.mark.parametrize("sql", lines("accepted_by_duckdb.sql"))
def test_what_is_inferred_is_what_duckdb_describes(
    sql: str, warehouse: duckdb.DuckDBPyConnection, analyse: Callable[..., QueryAnalysis]
) -> None:
    query = f"FROM ({sql})" if sql.startswith(("describe", "summarize")) else sql
    warehouse.execute(f"CREATE OR REPLACE TEMP TABLE described AS {query} WITH NO DATA")
    real = warehouse.execute("DESCRIBE described").fetchall()
    found = analyse(sql)
    assert found.findings == ()
    if found.columns is None:
        assert found.notes
        return
    assert [column.name for column in found.columns] == [row[0] for row in real]
    wrong = {
        column.name: (column.type, row[1])
        for column, row in zip(found.columns, real, strict=True)
        if column.type not in (None, row[1])
    }
    assert wrong == {}


@pytest.mark.parametrize("line", lines("rejected_by_duckdb.sql"))
def test_a_name_that_duckdb_does_not_find_is_found_wrong_at_its_place(
    line: str, warehouse: duckdb.DuckDBPyConnection, analyse: Callable[..., QueryAnalysis]
) -> None:
    sql, _, place = line.partition(" -- ")
    with pytest.raises(duckdb.Error):
        warehouse.execute(f"DESCRIBE {sql}")
    found = [f"{each.line}:{each.column}" for each in analyse(sql).findings]
    assert found == [place]


POSTGRES = {
    "SELECT DISTINCT ON (customer_id) customer_id, id FROM raw.orders ORDER BY customer_id, created_at DESC": [
        "customer_id",
        "id",
    ],
    "SELECT meta->'a'->>'b' AS b, meta #>> '{a,b}' AS c, meta @> '{\"a\":1}' AS d FROM stg.payments": ["b", "c", "d"],
    "SELECT o.id, x.paid FROM raw.orders o LEFT JOIN LATERAL (SELECT paid FROM stg.payments p WHERE p.order_id = o.id"
    " ORDER BY at DESC LIMIT 1) x ON true": ["id", "paid"],
    "WITH ins AS (INSERT INTO stg.a SELECT id, 1 FROM raw.orders RETURNING x) SELECT count(*) AS n FROM ins": ["n"],
    "SELECT d::date AS day, count(o.id) AS n FROM generate_series('2026-01-01'::date, '2026-02-01', '1 day') d"
    " LEFT JOIN raw.orders o ON o.created_at::date = d GROUP BY 1": ["day", "n"],
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FILTER (WHERE status = 'paid') AS med"
    " FROM raw.orders": ["med"],
    "SELECT array_agg(id ORDER BY id) AS ids, (array_agg(name))[1] AS first FROM raw.customers": ["ids", "first"],
    "SELECT $$it's$$ AS s, E'\\n' AS n FROM raw.customers": ["s", "n"],
    "SELECT id FROM raw.orders TABLESAMPLE system (5) REPEATABLE (1)": ["id"],
    "SELECT (o).id, row(o.id, o.amount) AS r FROM raw.orders o": None,
    "SELECT o.id, u.v, u.n FROM raw.orders o CROSS JOIN unnest(o.items) WITH ORDINALITY AS u(v, n)": ["id", "v", "n"],
    "SELECT status, grouping(status) g, sum(amount) FROM raw.orders GROUP BY ROLLUP (status)": ["status", "g", "sum"],
    "SELECT created_at AT TIME ZONE 'UTC' AS t, extract(epoch FROM created_at) AS e FROM raw.orders": ["t", "e"],
    "SELECT id FROM raw.orders FOR UPDATE SKIP LOCKED": ["id"],
    "SELECT id FROM raw.customers WHERE name ~* '^a' AND email SIMILAR TO '%x'": ["id"],
    "WITH v(a, b) AS (VALUES (1, 2), (3, 4)) SELECT v.a, c.name FROM v JOIN raw.customers c ON c.id = v.b": [
        "a",
        "name",
    ],
    "SELECT jt.a FROM stg.payments p, json_table(p.meta, '$[*]' COLUMNS (a int PATH '$.a')) jt": ["a"],
    'SELECT id AS Total, id AS "Total" FROM raw.orders': ["total", "Total"],
    "SELECT x, x FROM stg.a": None,
}


@pytest.mark.parametrize("sql", POSTGRES)
def test_queries_for_postgresql_have_the_columns_that_it_gives(sql: str, analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse(sql, "postgres")
    assert found.findings == ()
    names = None if found.columns is None else [column.name for column in found.columns]
    assert names == POSTGRES[sql]


@pytest.mark.parametrize(
    ("sql", "note"),
    [
        ("PIVOT stg.a ON x USING sum(y)", "columns not checked: PIVOT"),
        ("SELECT * FROM (UNPIVOT stg.a ON x, y)", "columns not checked: * of a subquery: UNPIVOT"),
        ("SELECT columns('x.*') FROM stg.a", "columns not checked: COLUMNS(...)"),
        ("SELECT * FROM read_csv('x.csv')", "columns not checked: * of read_csv(): a table function"),
        ("SELECT * FROM other.t", "columns not checked: * of other.t: it is no node of the project"),
        ("SELECT 1 + 1, 2 AS b", "columns not checked: column 1 has no name; give it one with AS"),
        ("SELECT unnest(s) FROM stg.wide", "columns not checked: unnest of a value whose type is not known"),
        ("WITH o AS (FROM stg.b) FROM o", "columns not checked: * of o: * of stg.b: its columns are not known"),
    ],
)
def test_a_note_says_why_columns_are_not_known(sql: str, note: str, analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse(sql, unknown=frozenset({"stg.b"}))
    assert (found.columns, found.notes, found.findings) == (None, (note,), ())


def test_tables_that_are_named_are_listed_with_their_place(analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse("SELECT 1 AS a\nFROM db.other.t, t2")
    assert [(table.database, table.schema, table.name, table.line, table.column) for table in found.tables] == [
        ("db", "other", "t", 2, 6),
        ("", "", "t2", 2, 18),
    ]
