"""Audits that gate what models publish, on both warehouses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

import sqlbuild

FILES = {
    "sources/raw.yml": """
        sources:
          - name: raw_orders
            expression: "SELECT * FROM (VALUES (1, 10, 'open'), (2, 10, 'paid'), (3, 11, 'paid')) AS v(id, customer_id, status)"
            columns:
              - name: id
                audits: [not_null, unique]
              - name: status
                audits:
                  - accepted_values: {values: [open, paid], severity: warn}
            audits:
              - holds: {name: has_customers, expression: "customer_id >= 10"}
    """,
    "audits/generic/holds.sql": "AUDIT (description \"A condition that all rows meet.\");\nSELECT *\nFROM @relation\nWHERE NOT (@expression)\n",
    "audits/singular/totals_match.sql": """
        AUDIT (severity error);
        SELECT t.customer_id FROM __ref("totals") AS t
        LEFT JOIN __ref("orders") AS o ON o.customer_id = t.customer_id
        GROUP BY t.customer_id, t.orders HAVING count(o.id) <> t.orders
    """,
    "models/orders.sql": """
        MODEL (
          materialized table,
          indexes [(columns [id], unique true)],
          columns (
            id (audits [not_null, unique]),
            customer_id (audits [relationships (to __ref("customers"), field customer_id)]),
            status (audits [accepted_values (values ["open", "paid"])]),
          ),
          audits [holds (name ids_are_small, expression "id < 100")],
        );
        SELECT id + ${SHIFT} AS id, customer_id, status FROM __source("raw_orders")
    """,
    "models/customers.sql": """
        MODEL (materialized view, columns (customer_id (audits [unique])));
        SELECT DISTINCT customer_id FROM __source("raw_orders")
    """,
    "models/totals.sql": """
        MODEL (materialized table, columns (orders (audits [not_null (severity warn)])));
        SELECT customer_id, count(*) AS orders FROM __ref("orders") GROUP BY customer_id
    """,
}  # fmt: skip
ON_SOURCE = {
    f"raw_orders.{name}" for name in ("not_null(id)", "unique(id)", "accepted_values(status)", "has_customers")
}
ON_ORDERS = {
    "orders.not_null(id)",
    "orders.unique(id)",
    "orders.relationships(customer_id)",
    "orders.accepted_values(status)",
    "orders.ids_are_small",
}
OTHERS = {"customers.unique(customer_id)", "totals.not_null(orders)", "totals_match"}
MODELS = {"orders", "customers", "totals"}


class Shop:
    def __init__(self, root: Path, rows: Any, execute: Any) -> None:
        self.root = root
        self.rows = rows
        self.execute = execute

    def change(self, name: str, before: str, after: str) -> None:
        path = self.root / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    def build(self, **options: Any) -> sqlbuild.RunResult:
        return sqlbuild.build(self.root, **options)

    def relations(self) -> set[str]:
        found = self.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'dev'")
        return {str(name) for (name,) in found if not str(name).startswith("_sqlbuild_") or "staging" in str(name)}


@pytest.fixture(params=["duckdb", "postgres"])
def shop(request, project, monkeypatch) -> Shop:
    files = {name: text.replace("${SHIFT}", "0") for name, text in FILES.items()}
    if request.param == "duckdb":
        project.write({**files, "sqlbuild_project.toml": 'name = "shop"\n[targets.dev]\nschema = "dev"\n'})

        def execute(sql: str) -> None:
            with duckdb.connect(str(project.root / "shop.duckdb")) as connection:
                connection.execute("CREATE SCHEMA IF NOT EXISTS dev")
                connection.execute(sql)

        return Shop(project.root, project.rows, execute)
    monkeypatch.setenv("SHOP_DSN", request.getfixturevalue("postgres_url"))
    server = request.getfixturevalue("postgres_server")
    database = request.getfixturevalue("postgres_url").partition("@/")[2].partition("?")[0]
    settings = 'name = "shop"\nadapter = "postgres"\n[connections.s]\ndsn = "${ENV:SHOP_DSN}"\nlock_timeout = 5\n[targets.dev]\nschema = "dev"\n'
    project.write({**files, "sqlbuild_project.toml": settings})

    def rows(sql: str) -> list[tuple[Any, ...]]:
        return [
            tuple(int(value) if value.isdecimal() else value for value in row)
            for row in server.sql(sql, database=database)
        ]

    def execute_there(sql: str) -> None:
        server.sql(f"CREATE SCHEMA IF NOT EXISTS dev; {sql}", database=database)

    return Shop(project.root, rows, execute_there)


def statuses(result: sqlbuild.RunResult) -> dict[str, str]:
    return {node.name: str(node.status) for node in result}


def test_what_passes_its_audits_is_published_and_what_does_not_stays_as_it_was(shop: Shop):
    first = shop.build().raise_for_failures()
    assert statuses(first) == dict.fromkeys(ON_SOURCE | ON_ORDERS | OTHERS | MODELS, "succeeded")
    started = {node.name: node.started_at for node in first}
    ended = {node.name: node.finished_at for node in first}
    for name in ON_SOURCE - {"raw_orders.accepted_values(status)"}:
        assert ended[name] <= started["customers"] <= started["orders"]
    for name in ON_ORDERS:
        assert started["orders"] <= started[name] <= ended[name] <= ended["orders"] <= started["totals"]
    assert shop.relations() == MODELS
    assert shop.rows("SELECT id FROM dev.orders ORDER BY id") == [(1,), (2,), (3,)]

    shop.change("models/orders.sql", "id + 0", "id + 98")
    failed = shop.build()
    assert (failed.exit_code, failed["orders"].status) == (1, "failed")
    assert {name for name, status in statuses(failed).items() if status == "failed"} == {
        "orders",
        "orders.ids_are_small",
    }
    assert {name for name, status in statuses(failed).items() if status == "blocked"} == {
        "totals", "totals.not_null(orders)", "totals_match",
    }  # fmt: skip
    assert failed["orders"].error.type == "AuditFailed"
    assert failed["orders"].error.message == "1 of 5 audits did not pass: ids_are_small; what was there before stays"
    gate = failed["orders.ids_are_small"]
    assert gate.error.message.splitlines()[0] == "2 rows violate it:"
    assert gate.payload["violations"] == 2
    assert sorted(row["id"] for row in gate.payload["sample"]) == [100, 101]
    assert shop.rows("SELECT id FROM dev.orders ORDER BY id") == [(1,), (2,), (3,)]
    assert shop.relations() == MODELS

    shop.change("models/orders.sql", "id < 100", "id < 1000")
    again = shop.build(resume=True).raise_for_failures()
    assert set(statuses(again)) == ON_ORDERS | MODELS - {"customers"} | {"totals.not_null(orders)", "totals_match"}
    assert shop.rows("SELECT id FROM dev.orders ORDER BY id") == [(99,), (100,), (101,)]
    assert shop.rows("SELECT customer_id, orders FROM dev.totals ORDER BY 1") == [(10, 2), (11, 1)]


def test_audits_of_sources_stop_readers_and_warnings_stop_nothing(shop: Shop):
    shop.build().raise_for_failures()
    shop.change("sources/raw.yml", "(3, 11, 'paid')", "(3, 9, 'lost')")
    result = shop.build()
    found = statuses(result)
    assert found["raw_orders.has_customers"] == "failed"
    assert found["raw_orders.accepted_values(status)"] == "warned"
    assert {found[name] for name in MODELS | ON_ORDERS | OTHERS} == {"blocked"}
    assert result["customers"].because_of == ("audit:raw_orders.has_customers",)
    assert shop.rows("SELECT count(*) FROM dev.customers") == [(2,)]
    alone = shop.build(no_audits=True).raise_for_failures()
    assert set(statuses(alone)) == MODELS


def test_a_view_and_a_table_in_its_place_are_gated_too(shop: Shop):
    shop.build(select="customers").raise_for_failures()
    shop.change("models/customers.sql", "SELECT DISTINCT", "SELECT")
    refused = shop.build(select="customers")
    assert (
        refused["customers"].error.message == "its audit did not pass: unique(customer_id); what was there before stays"
    )
    assert refused["customers.unique(customer_id)"].payload["sample"] == [{"customer_id": 10, "times": 2}]
    assert shop.rows("SELECT count(*) FROM dev.customers") == [(2,)]
    shop.change("models/customers.sql", "materialized view", "materialized table")
    assert shop.build(select="customers")["customers"].status == "failed"
    shop.change("models/customers.sql", "SELECT", "SELECT DISTINCT")
    shop.build(select="customers").raise_for_failures()
    assert shop.relations() == {"customers"}


def test_sqb_audit_asks_what_is_there_and_tells_what_it_found(shop: Shop, project):
    shop.build(select="customers orders").raise_for_failures()
    shop.change("models/orders.sql", "id < 100", "id < 3")
    found = project.sqb("audit", "orders", "--concurrency", "2")
    assert found.code == 1, found.everything
    assert "AuditFailed: 1 row violates it:" in found.out
    assert "id=3 customer_id=11 status='paid'" in found.out
    assert "succeeded   audit orders.not_null(id)" in found.out
    shop.change("audits/generic/holds.sql", "@expression", "@expression AND nowhere.column_x IS NULL")
    shop.change("audits/generic/holds.sql", "AUDIT (", "AUDIT (sql_analysis false, ")
    broken = project.sqb("audit", "audit:orders.ids_are_small", "--json")
    assert broken.code == 1
    (result,) = json.loads(broken.out)["results"]
    assert result["error"]["type"] == "WarehouseError"
    assert "nowhere" in result["error"]["message"]
    assert (result["error"]["path"], result["error"]["line"]) == ("models/orders.sql", 10)


def test_rows_that_come_to_an_incremental_model_are_looked_at_before_they_are_in_it(shop: Shop, project):
    project.write(
        {
            "sources/numbers.yml": "sources:\n  - {name: numbers, schema: dev, table: numbers}\n",
            "models/grown.sql": """
                MODEL (
                  materialized incremental, incremental_strategy append, cursor n, cursor_type integer, append_cursor_inclusive false,
                  columns (n (audits [not_null, unique])),
                  audits [holds (name is_small, expression "n < 100"), holds (name is_known, expression "n > 0", run_scope final)],
                );
                SELECT n FROM __source("numbers") WHERE n >= __cursor_start() AND n < __cursor_end()
            """,
            "models/reader.sql": 'SELECT count(*) AS rows FROM __ref("grown")\n',
        }
    )
    shop.execute("CREATE TABLE dev.numbers (n INTEGER)")
    shop.execute("INSERT INTO dev.numbers VALUES (1), (2)")
    first = shop.build(select="grown+").raise_for_failures()
    audits = {f"grown.{name}" for name in ("not_null(n)", "unique(n)", "is_small", "is_known")}
    assert set(statuses(first)) == {"grown", "reader", *audits}
    ended = {node.name: node.finished_at for node in first}
    started = {node.name: node.started_at for node in first}
    assert all(ended["grown"] <= started[name] <= ended[name] <= started["reader"] for name in audits)

    shop.execute("INSERT INTO dev.numbers VALUES (3), (300)")
    refused = shop.build(select="grown+")
    assert refused["grown"].error.type == "AuditFailed"
    assert refused["grown"].error.message.splitlines() == [
        "1 of 3 audits did not pass: is_small; what was there before stays",
        "is_small: 1 row violates it:",
        "  n=300",
    ]
    assert {found for name, found in statuses(refused).items() if name != "grown"} == {"blocked"}
    assert shop.rows("SELECT n FROM dev.grown ORDER BY n") == [(1,), (2,)]
    shop.execute("DELETE FROM dev.numbers WHERE n = 300")
    shop.execute("INSERT INTO dev.grown VALUES (-5)")
    final = shop.build(resume=True)
    assert {name for name, found in statuses(final).items() if found == "failed"} == {"grown.is_known"}
    assert statuses(final)["reader"] == "blocked"
    assert [int(n) for (n,) in shop.rows("SELECT n FROM dev.grown ORDER BY n")] == [-5, 1, 2, 3]
