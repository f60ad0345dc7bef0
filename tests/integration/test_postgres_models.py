"""A project of many kinds of models and sources on PostgreSQL: what is said of their columns, and what they become."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sqlbuild
from sqlbuild.app.opening import close_project, open_project
from sqlbuild.app.options import ProjectOptions
from sqlbuild.domain.ids import NodeKind

FILES = {
    "sqlbuild_project.toml": """
        name = "shop"
        adapter = "postgres"
        [connections.server]
        dsn = "${ENV:SHOP_DSN}"
        search_path = "helpers, public"
        [targets.dev]
        schema = "dev"
    """,
    "sources/raw.yml": """
        sources:
          - {name: raw_orders, schema: raw, table: orders}
          - name: typed_orders
            schema: raw
            table: orders
            columns:
              - {name: id, type: bigint}
              - {name: At, type: date}
              - {name: amount, type: "numeric(12, 4)"}
          - name: days
            expression: generate_series('2026-01-01'::date, '2026-01-03', '1 day') AS d(day)
            columns: [{name: day, type: date}]
          - {name: pairs, expression: "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v(n, letter)"}
          - {name: one, expression: "SELECT 1 AS one, now() AS at"}
    """,
    "models/staged.sql": """
        SELECT id, t."At" AS at, t.amount, upper(raw.status) AS status
        FROM __source("typed_orders") AS t JOIN __source("raw_orders") AS raw USING (id)
    """,
    "models/typed.sql": """
        MODEL (materialized table, columns (id (type SMALLINT), "Odd Name" (type "varchar(7)"), day (type TEXT)));
        SELECT o.id, status AS "Odd Name", 5 AS kept, at AS day FROM __ref("staged") AS o -- the end
    """,
    "models/everything.sql": 'MODEL (materialized table, columns (status (type "varchar(9)")));\n'
    'SELECT * FROM __source("raw_orders")\n',
    "models/days_of_orders.sql": 'SELECT d.day, count(s.id) AS n, sum(s.amount) AS total FROM __source("days") AS d LEFT JOIN '
    '__ref("staged") AS s ON s.at = d.day GROUP BY 1\n',
    "models/letters.sql": "MODEL (materialized table);\nSELECT n, coalesce(letter, '?') AS letter FROM __source(\"pairs\")\n",
    "models/stamp.sql": 'SELECT one + 1 AS two, at, at::date AS day FROM __source("one")\n',
    "models/ranked.sql": """
        WITH ranked AS (
            SELECT *, row_number() OVER (PARTITION BY status ORDER BY amount DESC) AS place FROM __ref("staged")
        )
        SELECT * FROM ranked WHERE place <= 2
    """,
    "models/both.sql": 'MODEL (materialized table);\nSELECT id, kept FROM __ref("typed") UNION ALL SELECT n, 2.5 FROM '
    '__ref("letters")\n',
    "models/merged.sql": 'SELECT * FROM __ref("ranked") JOIN __ref("days_of_orders") ON day = at JOIN __ref("both") USING (id)\n',
    "models/tree.sql": "WITH RECURSIVE t AS (SELECT 1 AS n, 'a' AS path UNION ALL SELECT n + 1, path || 'b' FROM t WHERE n < 3) "
    "SELECT * FROM t\n",
    "models/by_hand.sql": 'MODEL (sql_analysis false);\nSELECT twice(one) AS two FROM __source("one")\n',
    "models/facts.sql": """
        MODEL (
          materialized table,
          indexes [(columns [id], unique true), (columns [lower(status), amount desc], where "amount > 0")],
          grants (select [public]),
        );
        SELECT id, status, amount, amount > 10 AS is_big, date_trunc('month', at) AS month, at - at AS zero,
          CASE WHEN amount > 10 THEN 'big' ELSE status END AS size, ARRAY[1, 2] AS list, round(amount) AS rounded
        FROM __ref("staged")
    """,
}
TABLES = """
CREATE SCHEMA raw; CREATE SCHEMA helpers;
CREATE FUNCTION helpers.twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n * 2';
CREATE TABLE raw.orders (id integer, "At" timestamp, amount numeric(10, 2), status text);
INSERT INTO raw.orders SELECT n, '2026-01-01', n * 5, 'open' FROM generate_series(1, 4) AS t(n);
"""
COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = 'dev'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 ORDER BY 1, a.attnum
"""


@pytest.fixture
def shop(postgres_project, on_server) -> Path:
    on_server(TABLES)
    return postgres_project.write(FILES).root


def test_what_is_said_of_columns_is_what_the_server_has(shop: Path, on_server):
    sqlbuild.build(shop).raise_for_failures()
    real: dict[str, dict[str, str]] = {}
    for relation, column, type_ in on_server(COLUMNS):
        real.setdefault(relation, {})[column] = type_
    try:
        graph = open_project(ProjectOptions(root=str(shop), environ=os.environ)).graph
    finally:
        close_project(str(shop))
    models = {node.name: node for node in graph.nodes.values() if node.kind is NodeKind.MODEL}
    unknown = {name for name, node in models.items() if node.columns is None or node.notes}
    assert unknown == {"everything", "by_hand"}
    for name in models.keys() - unknown:
        columns = models[name].columns
        assert [column.name for column in columns] == list(real[name])
        if name not in ("typed",):
            said = {column.name: column.type for column in columns if column.type is not None}
            assert said == {column: type_ for column, type_ in real[name].items() if column in said}, name
    assert real["typed"] == {
        "id": "smallint",
        "Odd Name": "character varying(7)",
        "kept": "integer",
        "day": "text",
    }
    assert real["everything"] == {
        "id": "integer",
        "At": "timestamp without time zone",
        "amount": "numeric(10,2)",
        "status": "character varying(9)",
    }
    assert real["staged"] == {"id": "bigint", "at": "date", "amount": "numeric(12,4)", "status": "text"}
    assert real["by_hand"] == {"two": "integer"}
    lineage = {
        column: [f"{each.node}.{each.column}" for each in found]
        for column, found in models["staged"].column_lineage.items()
    }
    assert lineage["at"] == ["source:typed_orders.At"]
    assert on_server("SELECT * FROM dev.by_hand, dev.letters ORDER BY n") == [["2", "1", "a"], ["2", "2", "?"]]


def test_a_view_that_reads_what_is_gone_does_not_stand_in_the_way_of_its_own_new_query(shop: Path, on_server):
    sqlbuild.build(shop, select="+facts days_of_orders").raise_for_failures()
    on_server("CREATE VIEW dev.outside AS SELECT total FROM dev.days_of_orders")
    (shop / "models" / "staged.sql").write_text(
        'SELECT id, "At" AS at, amount AS money FROM __source("typed_orders")\n'
    )
    (shop / "models" / "days_of_orders.sql").write_text(
        'SELECT at AS day, sum(money) AS total FROM __ref("staged") GROUP BY 1\n'
    )
    for name in ("facts", "ranked", "merged", "typed", "both"):
        (shop / "models" / f"{name}.sql").unlink()
    result = sqlbuild.build(shop, select="staged+")
    assert result.ok, result.failures
    assert on_server("SELECT total::int FROM dev.outside") == [["50"]]
    assert on_server("SELECT relname FROM pg_class WHERE relname LIKE '%sqlbuild_kept%'") == []
