"""`ctx.export` and `sqb query -o` on PostgreSQL, as on DuckDB."""

from __future__ import annotations

import gzip
import json

import duckdb
import pyarrow.feather
import pytest

ORDERS = """
    MODEL (materialized table);
    SELECT n AS id, 'c' || n % 3 AS country, (n * 1.5)::numeric(10,2) AS amount, ARRAY[n, NULL] AS tags
    FROM generate_series(1, 10) AS made (n)
"""
EXPORTS = """
    from sqlbuild.assets import asset
    from sqlbuild.refs import model

    ORDERS = model("orders")
    COLUMNS = [{"name": "id", "type": "int"}, {"name": "country", "type": "varchar"},
               {"name": "amount", "type": "decimal(10,2)"}, {"name": "tags", "type": "int[]"}]

    @asset(depends_on=ORDERS, columns=COLUMNS)
    async def whole(ctx):
        written = await ctx.export(ORDERS, "exports/whole.parquet", check_columns=True)
        return {"columns": dict(written.columns), "rows": written.rows}

    @asset(depends_on=ORDERS, columns=[{"name": "id", "type": "bigint"}])
    def other_columns(ctx):
        ctx.export(ORDERS, "exports/other.csv", check_columns=True)

    @asset(depends_on=ORDERS)
    def parts(ctx):
        ctx.export(ORDERS, "exports/parts", "jsonl", partition_by=["country"])

    @asset(depends_on=ORDERS)
    async def new(ctx):
        return {"rows": (await ctx.export(ORDERS, "exports/new.jsonl", cursor="id")).rows}

    @asset(depends_on=ORDERS)
    async def arrow(ctx):
        await ctx.export(ORDERS, "exports/orders.arrow")

    @asset(depends_on=ORDERS, columns=COLUMNS)
    async def batches(ctx):
        rows = ctx.query(f"SELECT * FROM {ctx.relation(ORDERS)} WHERE id > ? ORDER BY id", [8])
        await ctx.export(rows.batches(), "exports/batches.csv.gz", check_columns=True)

    @asset
    def failing(ctx):
        ctx.export("SELECT 1 / (n - 3) AS x FROM generate_series(1, 5) AS n", "exports/failing.csv")
"""


@pytest.fixture
def shop(postgres_project):
    return postgres_project.write({"models/orders.sql": ORDERS, "assets/exports.py": EXPORTS})


def test_exports_and_query_outputs_are_those_of_duckdb(shop):
    built = shop.sqb("build")
    assert "other types: id is integer, not bigint" in built.everything
    assert "division by zero" in built.everything
    results = json.loads((shop.root / "target/run_results.json").read_text())["results"]
    by_id = {result["id"]: result for result in results}
    assert sorted(name for name, result in by_id.items() if result["status"] != "succeeded") == [
        "asset:failing",
        "asset:other_columns",
    ]
    assert by_id["asset:whole"]["payload"] == {
        "columns": {"id": "integer", "country": "text", "amount": "numeric(10,2)", "tags": "integer[]"},
        "rows": 10,
    }
    exports = shop.root / "exports"
    assert not list(exports.glob("other*")) + list(exports.glob("failing*")) + list(exports.glob(".*"))
    described = duckdb.execute("DESCRIBE FROM read_parquet(?)", [str(exports / "whole.parquet")]).fetchall()
    assert [row[1] for row in described] == ["INTEGER", "VARCHAR", "DECIMAL(10,2)", "INTEGER[]"]
    manifest = json.loads((exports / "parts/_manifest.json").read_text())
    assert [(file["values"], file["rows"]) for file in manifest["files"]] == [
        ({"country": "c0"}, 3),
        ({"country": "c1"}, 4),
        ({"country": "c2"}, 3),
    ]
    assert pyarrow.feather.read_table(exports / "orders.arrow").column("tags")[0].as_py() == [1, None]
    text = gzip.decompress((exports / "batches.csv.gz").read_bytes()).decode()
    assert text == 'id,country,amount,tags\n9,c0,13.50,"[9, NULL]"\n10,c1,15.00,"[10, NULL]"\n'

    shop.build("--select", "new")
    assert (exports / "new.jsonl").read_text() == ""
    written = shop.sqb("query", "SELECT id, amount FROM model:orders WHERE id < 2 -- one", "-o", "one.json")
    assert written.code == 0, written.everything
    assert json.loads((shop.root / "one.json").read_text()) == [{"id": 1, "amount": 1.5}]
    refused = shop.sqb("query", "SELECT 1 / 0 AS x", "-o", "none.csv")
    assert (refused.code, "division by zero" in refused.err) == (1, True)
    assert not list(shop.root.glob("*none.csv*"))
