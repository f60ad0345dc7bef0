"""New data in sources: seen, told, tolerated, and built from."""

from __future__ import annotations

import duckdb

FILES = {
    "sqlbuild_project.toml": 'name = "shop"\n',
    "sources/raw.yml": """
        sources:
          - name: orders
            schema: raw
            table: orders
            columns: [{name: id, type: INTEGER, audits: [unique]}, {name: at, type: TIMESTAMP}]
            freshness: {column: at, lag_tolerance: 1h, age_policy: {warn_after: 1d}}
          - name: payments
            schema: raw
            table: payments
            freshness: {}
          - name: version
            expression: SELECT 1 AS id
            freshness: {query: "SELECT max(n) FROM raw.versions", type: integer}
    """,
    "models/a.sql": 'MODEL (materialized table);\nSELECT id FROM __source("orders")',
    "models/b.sql": 'MODEL (materialized table);\nSELECT id FROM __source("payments")',
    "models/c.sql": 'MODEL (materialized table);\nSELECT id FROM __ref("a")',
}


def test_what_reads_new_data_is_out_of_date(project):
    folder = project.write(FILES)

    def change(*statements: str) -> None:
        with duckdb.connect(str(folder.root / "shop.duckdb")) as connection:
            for statement in statements:
                connection.execute(statement)

    def planned() -> list[str]:
        return [node["name"] for node in folder.sqb("plan", "--changed", "--json").json["nodes"]]

    assert folder.sqb("freshness").code == 4
    change(
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.orders AS SELECT 1 AS id, TIMESTAMP '2026-01-01 10:00' AS at",
        "CREATE TABLE raw.payments AS SELECT 1 AS id",
    )
    first = folder.sqb("freshness", "--json").json
    assert [(each["name"], each["status"], each["version"]) for each in first["sources"]] == [
        ("orders", "observed", "2026-01-01T10:00:00+00:00"),
        ("payments", "observed", "1 row"),
        ("version", "error", None),
    ]
    assert "versions does not exist" in first["sources"][2]["message"]
    assert first["sources"][0]["age_status"] == "warn"
    assert folder.sqb("freshness", "--fail-on-error").code == 1
    folder.build()
    assert planned() == []

    change("INSERT INTO raw.orders VALUES (2, TIMESTAMP '2026-01-01 10:59')")
    assert "tolerated" in folder.sqb("freshness", "orders", "--state", "--fail-on-stale").out
    assert planned() == []
    change("INSERT INTO raw.orders VALUES (3, TIMESTAMP '2026-01-01 11:01')")
    # To look at the new data is not to build from it.
    assert folder.sqb("audit").code == 0
    assert folder.sqb("freshness", "c", "--state", "--fail-on-stale").code == 1
    assert planned() == ["orders.unique(id)", "a", "c"]
    told = folder.sqb("plan", "--changed")
    news = "source:orders has new data: 2026-01-01T11:01:00+00:00, was 2026-01-01T10:00:00+00:00"
    assert news in told.out
    assert "new data" not in folder.sqb("plan", "b", "--quiet").out
    assert news in folder.sqb("plan", "--json").json["news"]

    # Who has not read it yet is out of date until it has, whoever else was built meanwhile.
    built = folder.build("--changed", "a")
    assert "source:orders has new data: 2026-01-01T11:01:00+00:00, was 2026-01-01T10:00:00+00:00" in built.out
    assert planned() == ["c"]
    assert folder.sqb("list", "state:changed").out.split() == ["c"]
    change("INSERT INTO raw.payments VALUES (2)")
    assert _built(folder) == {"model:b", "model:c"}
    assert planned() == []
    assert folder.rows("SELECT count(*) FROM c") == [(3,)]


def _built(folder) -> set[str]:
    folder.build("--changed")
    return set(folder.statuses())


def test_a_name_that_nothing_has_is_told_also_without_sources_to_look_at(project):
    folder = project.write({"sqlbuild_project.toml": 'name = "shop"\n', "models/a.sql": "SELECT 1 AS id"})
    folder.build()
    refused = folder.sqb("freshness", "nope")
    assert (refused.code, "nothing in this project is called 'nope'" in refused.err) == (2, True)
    assert "no source with `freshness` is selected" in folder.sqb("freshness", "a").err
