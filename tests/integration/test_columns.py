"""Columns from the source to the asset: lineage, contracts, NULL."""

from __future__ import annotations

FILES = {
    "sqlbuild_project.toml": 'name = "shop"\n',
    "sources/raw.yml": """
        sources:
          - name: raw_orders
            expression: "SELECT 1 AS id, 10 AS amount UNION ALL SELECT 2, NULL"
    """,
    "models/stg_orders.sql": """
        MODEL (contract enforced, columns (order_id (type INTEGER), amount (type INTEGER)));
        SELECT id AS order_id, amount FROM __source("raw_orders")
    """,
    "models/totals.sql": """
        MODEL (materialized table, contract enforced, columns (orders (nullable false), total ()));
        SELECT count(*) AS orders, sum(amount) AS total FROM __ref("stg_orders")
    """,
    "models/wide.sql": """
        MODEL (materialized table, contract enforced, columns (order_id (), "10" ()));
        PIVOT __ref("stg_orders") ON amount USING count(*) GROUP BY order_id
    """,
    "assets/push.py": """
        from sqlbuild.assets import asset
        from sqlbuild.refs import model

        @asset(depends_on=model("totals"), columns=[{"name": "sum"}], column_lineage={"sum": [{"node": "totals", "column": "total"}]})
        def push(ctx):
            return ctx.query(f"SELECT total FROM {ctx.relation(model('totals'))}").scalar()
    """,
}


def test_lineage_contracts_and_their_breach(project):
    folder = project.write(FILES)
    up = folder.sqb("lineage", "push.SUM")
    assert up.code == 0, up.everything
    assert up.out.splitlines() == [
        "push.sum",
        "└── totals.total  declared",
        "    └── stg_orders.amount  aggregation",
        "        └── raw_orders.amount  direct",
    ]
    between = folder.sqb("lineage", "--select", "stg_orders~push", "--json").json
    assert [(edge["from"], edge["to"]) for edge in between["edges"]] == [
        ("model:stg_orders", "model:totals"),
        ("model:totals", "asset:push"),
    ]
    wrong = folder.sqb("lineage", "totals.totl")
    assert (wrong.code, wrong.err.splitlines()[1].strip()) == (2, "help: did you mean total?")

    # What PIVOT gives only the warehouse knows.
    folder.build()
    assert folder.rows("SELECT * FROM wide ORDER BY order_id") == [(1, 1), (2, 0)]
    folder.write({"sources/raw.yml": FILES["sources/raw.yml"].replace("SELECT 2, NULL", "SELECT 2, 20")})
    broken = folder.sqb("build")
    assert broken.code == 1
    assert "the query of wide gives 20 besides; its contract has order_id, 10" in broken.everything
    assert folder.rows("SELECT * FROM wide ORDER BY order_id") == [(1, 1), (2, 0)]
    assert folder.statuses()["model:totals"] == "succeeded"

    nullable = FILES["models/totals.sql"].replace(", total ())", ", total (nullable false))")
    folder.write({"models/totals.sql": nullable, "models/wide.sql": "MODEL (contract strict);\nSELECT 1 AS id"})
    refused = folder.sqb("compile")
    assert refused.code == 2
    assert "error[NULLABLE_COLUMN] models/totals.sql:2:1: totals declares the column total" in refused.err
    assert "error[BAD_VALUE] models/wide.sql:1:17: `contract`: unknown value 'strict'" in refused.err
