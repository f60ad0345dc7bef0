"""A managed source on PostgreSQL, from its loader to the model that reads it."""

from __future__ import annotations

FILES = {
    "sqlbuild_project.toml": """
        name = "shop"
        adapter = "postgres"

        [connections.local]
        dsn = "${ENV:SHOP_DSN}"
    """,
    "sources/raw.yml": """
        sources:
          - name: raw_orders
            managed: true
            write_strategy: merge
            unique_key: order_id
            cursor_column: updated_at
            columns:
              - {name: order_id, type: bigint, nullable: false}
              - {name: total, type: "numeric(8, 2)"}
              - {name: updated_at, type: date}
    """,
    "models/totals.sql": """
        MODEL (materialized view);
        SELECT updated_at, count(*) AS orders, sum(total) AS total FROM __source("raw_orders") GROUP BY 1
    """,
    "loaders/orders.py": """
        import datetime, json, os, pathlib
        from sqlbuild.loaders import LoaderContext, loader

        @loader
        def raw_orders(ctx: LoaderContext):
            since = ctx.current_cursor_value
            pathlib.Path("since").write_text(str(since))
            day = datetime.date(2024, 1, 1) if since is None else since + datetime.timedelta(days=1)
            for number in range(3_000):
                yield {"Order_ID": number // 2, "total": "1.50", "updated_at": day, "tags": {"n": [number]}}
                if number == 2_001 and os.environ.get("FAILS") == "raised":
                    raise OSError("connection reset")
                if number == 2_001 and os.environ.get("FAILS") == "a value":
                    yield {"Order_ID": 1, "total": "dear"}
    """,
}
STATE = [
    "_sqlbuild_commits", "_sqlbuild_fingerprints", "_sqlbuild_meta", "_sqlbuild_node_results", "_sqlbuild_runs",
    "_sqlbuild_source_freshness",
]  # fmt: skip


def test_a_managed_source_is_loaded_read_and_left_as_it_was_by_loads_that_fail(postgres_project, on_server):
    project = postgres_project.write(FILES)

    def told() -> list[list[str]]:
        return on_server("SELECT updated_at, orders, total FROM public.totals ORDER BY 1")

    project.build()
    assert project.statuses() == {"loader:raw_orders": "succeeded", "model:totals": "succeeded"}
    assert project.result("raw_orders")["metadata"]["rows"] == 3_000
    first = [["2024-01-01", "1500", "2250.00"]]
    assert told() == first
    assert on_server("SELECT order_id, total, tags->'n'->0 FROM public.raw_orders WHERE order_id = 7") == [
        ["7", "1.50", "15"]
    ]

    failing = {
        "raised": "loaders/orders.py:13: OSError: connection reset",
        "a value": "column total: 'dear' (text) is no numeric(8,2), the declared type (row 2,003)",
    }
    for what, message in failing.items():
        failed = project.sqb("build", env={"FAILS": what})
        assert (failed.code, message in failed.out) == (1, True), failed.everything
        assert project.statuses() == {"loader:raw_orders": "failed", "model:totals": "blocked"}
        assert told() == first
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
    assert on_server(tables) == [[name] for name in (*STATE, "raw_orders")]

    assert project.sqb("retry").code == 0
    assert (project.root / "since").read_text() == "2024-01-01"
    assert told() == [["2024-01-02", "1500", "2250.00"]]
