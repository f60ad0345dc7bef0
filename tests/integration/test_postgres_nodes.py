"""What nodes can ask of their context, on PostgreSQL: one project with all of it, on asyncio and on trio."""

from __future__ import annotations

import pytest

FILES = {
    "sqlbuild_project.toml": """
        name = "shop"
        adapter = "postgres"

        [connections.server]
        dsn = "${ENV:SHOP_DSN}"

        [targets.dev]
        connection = "server"
        schema = "dev"
        vars = { least = 2 }

        [pools.crm]
        slots = 2
    """,
    "sources/shop.yml": """
        sources:
          - name: raw_orders
            managed: true
            write_strategy: merge
            unique_key: order_id
            cursor_column: day
            columns:
              - {name: order_id, type: integer}
              - {name: day, type: date}
              - {name: total, type: "numeric(8, 2)"}
          - name: fixed
            expression: SELECT n, 'x' || n AS "Text" FROM generate_series(1, 3) AS t(n)
            columns:
              - {name: n, type: bigint}
              - {name: Text}
          - name: landing
            schema: Landing
            table: Rows
            columns:
              - {name: Id, type: bigint}
              - {name: order, type: text}
    """,
    "models/orders.sql": """
        MODEL (materialized table, columns (total (type "numeric(10, 1)")), indexes [(columns [order_id], unique true)]);
        SELECT order_id, day, total FROM __source("raw_orders")
    """,
    "models/landed.sql": 'SELECT l."Id", l."order" FROM __source("landing") AS l JOIN __source("fixed") ON fixed.n = l."Id"\n',
    "loaders/orders.py": """
        import datetime
        from sqlbuild.loaders import AsyncLoaderContext, loader

        @loader
        async def raw_orders(ctx: AsyncLoaderContext):
            since = ctx.current_cursor_value or datetime.date(2026, 1, 1)
            for number in range(1, 5):
                yield {"order_id": number, "day": since + datetime.timedelta(days=number), "total": number * 1.25}
    """,
    "providers/clients.py": """
        from sqlbuild.providers import Provider

        class CrmClient(Provider):
            async def setup(self, ctx):
                self.sent = []
    """,
    "checks/orders.py": """
        from sqlbuild.checks import check
        from sqlbuild.refs import model

        @check(depends_on=model("orders"))
        def orders_are_there(ctx):
            found = ctx.query(f"SELECT count(*) FROM {ctx.relation(model('orders'))}").scalar()
            return ctx.pass_(f"{found} orders") if found == 4 else ctx.fail(f"{found} orders")

        @check(depends_on=model("orders"), severity="warn")
        async def orders_are_large(ctx):
            orders = ctx.relation(model("orders"))
            small = await ctx.query(f"SELECT count(*) FROM {orders} WHERE total < $least", {"least": 2}).scalar()
            return ctx.fail(f"{small} small")
    """,
    "assets/reading.py": """
        from sqlbuild.assets import asset
        from sqlbuild.refs import model, source

        ORDERS, FIXED, LANDING = model("orders"), source("fixed"), source("landing")

        @asset(depends_on=(ORDERS, FIXED, LANDING, model("landed")))
        def read_in_threads(ctx):
            orders = ctx.relation(ORDERS)
            statement = f"SELECT order_id FROM {orders} WHERE order_id > {{}} ORDER BY 1"
            ids = f"SELECT order_id FROM {orders} ORDER BY 1"
            ctx.execute_sql("CREATE TABLE dev.kept AS SELECT 1 AS a")
            ctx.execute_sql("INSERT INTO dev.kept SELECT $a::int + $a::int", {"a": 2})
            query = ctx.query(ids)
            return {
                "one": ctx.query(statement.format("?"), [1]).fetchone(),
                "all": ctx.query(statement.format("$1"), [2]).fetchall(),
                "named": ctx.query(statement.format("$least"), {"least": ctx.vars["least"]}).fetchall(),
                "many": [query.fetchmany(3), query.fetchmany(3)],
                "scalar": ctx.query(f"SELECT total::text FROM {orders} WHERE order_id = ?", (3,)).scalar(),
                "iterated": [order_id for (order_id,) in ctx.query(ids)],
                "arrow": ctx.query(ids).arrow().column("order_id").to_pylist(),
                "batches": [batch.num_rows for batch in ctx.query(ids).batches(3)],
                "df": ctx.query(ids).df()["order_id"].tolist(),
                "pl": ctx.query(ids).pl()["order_id"].to_list(),
                "kept": ctx.query("SELECT a FROM dev.kept ORDER BY a").fetchall(),
                "expression": ctx.query(f'SELECT max(n), min("Text") FROM {ctx.relation(FIXED)}').fetchone(),
                "aliased": ctx.query(f'SELECT f."Text" FROM {ctx.relation(FIXED)} AS f WHERE f.n = 2').scalar(),
                "landing": ctx.query(f'SELECT "Id", "order" FROM {ctx.relation(LANDING)}').fetchall(),
                "landed": ctx.query(f"SELECT * FROM {ctx.relation(model('landed'))}").fetchall(),
            }

        @asset(depends_on=ORDERS)
        async def read_on_the_loop(ctx):
            ids = f"SELECT order_id FROM {ctx.relation(ORDERS)} ORDER BY 1"
            query = ctx.query(ids)
            return {
                "one": await ctx.query(ids + " LIMIT ?", [1]).fetchone(),
                "all": await ctx.query(ids).fetchall(),
                "many": [await query.fetchmany(3), await query.fetchmany(3)],
                "scalar": await ctx.query("SELECT $what::text", {"what": "a $1 ?"}).scalar(),
                "iterated": [order_id async for (order_id,) in ctx.query(ids)],
                "arrow": (await ctx.query(ids).arrow()).num_rows,
                "batches": [batch.num_rows async for batch in ctx.query(ids).batches(3)],
                "df": len(await ctx.query(ids).df()),
                "pl": len(await ctx.query(ids).pl()),
            }

        @asset(depends_on=(read_on_the_loop, ORDERS), isolate="process")
        def read_in_a_process(ctx):
            earlier = ctx.results_of(read_on_the_loop, limit=2)
            orders = ctx.relation(ORDERS)
            return {
                "runs": len(earlier),
                "scalar": ctx.query(f"SELECT count(*) FROM {orders} WHERE order_id > ?", [1]).scalar(),
                "arrow": ctx.query(f"SELECT order_id FROM {orders}").arrow().num_rows,
                "before": ctx.result_of(read_on_the_loop).payload["scalar"],
            }
    """,
    "assets/writing.py": """
        from sqlbuild.assets import asset
        from sqlbuild.refs import model
        from sqlbuild.retries import RetryPolicy

        ORDERS = model("orders")

        @asset(depends_on=ORDERS)
        async def new_orders(ctx):
            exported = await ctx.export(ORDERS, "out/new.parquet", cursor="day")
            whole = await ctx.export(f"SELECT * FROM {ctx.relation(ORDERS)} ORDER BY 1", "out/orders.csv")
            return ctx.result({"new": exported.rows, "all": whole.rows}, materialized=True)

        @asset(depends_on=ORDERS)
        def new_orders_in_threads(ctx):
            return ctx.export(ORDERS, "out/folder", format="csv", partition_by=["order_id"]).rows

        @asset(depends_on=ORDERS, retry=RetryPolicy(2, retry_on=(OSError,), initial_delay_seconds=0.001))
        async def pushed(ctx, crm_client):
            async def push(row):
                async with ctx.pool("crm"):
                    crm_client.sent.append(await ctx.query("SELECT ?::int * 10", [row[0]]).scalar())
                return row[0]

            rows = await ctx.query(f"SELECT order_id FROM {ctx.relation(ORDERS)} ORDER BY 1").fetchall()
            done = await ctx.map(push, rows, limit=3, key=lambda row: row[0])
            ctx.progress(len(done), len(rows))
            ctx.log("pushed", rows=len(done))
            if ctx.attempt == 1:
                ctx.checkpoint("first", ctx.idempotency_key)
                raise OSError("again")
            return {"done": done, "sent": sorted(crm_client.sent), "same": ctx.checkpoints["first"] == ctx.idempotency_key}
    """,
    "tasks/connections.py": """
        from sqlbuild.tasks import task

        @task
        async def connected(ctx):
            await ctx.query("SELECT 1").scalar()
            try:
                connection = ctx.connection
            except Exception as error:
                return str(error)
            async with connection.transaction():
                return await connection.fetchval("SELECT $1::int + 1", 1)

        @task
        def connected_in_a_thread(ctx):
            try:
                return ctx.connection
            except Exception as error:
                return str(error)

        @task(dry_run=True)
        async def rehearsed(ctx):
            if not ctx.dry_run:
                return None
            try:
                await ctx.execute_sql("CREATE TABLE dev.never (a int)")
            except Exception as error:
                assert "a dry run only reads" in str(error)
            else:
                raise AssertionError
    """,
}  # fmt: skip


@pytest.fixture
def shop(postgres_project, on_server):
    landed = "VALUES (2, 'b'), (9, 'z')"
    on_server(
        f'CREATE SCHEMA "Landing"; CREATE TABLE "Landing"."Rows" ("Id" int, "order" text); INSERT INTO "Landing"."Rows" {landed}'
    )
    return postgres_project.write(FILES)


ALL = [[1], [2], [3], [4]]
READ = {"many": [ALL[:3], ALL[3:]], "iterated": [1, 2, 3, 4], "batches": [3, 1]}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_everything_that_a_context_has_works_on_postgresql(shop, backend):
    shop.build("--backend", backend)
    payloads = {name: shop.result(name)["payload"] for name in ("read_in_threads", "read_on_the_loop", "pushed")}
    assert payloads["read_in_threads"] == {
        **READ,
        "one": [2],
        "all": [[3], [4]],
        "named": [[3], [4]],
        "scalar": "3.8",
        "arrow": [1, 2, 3, 4],
        "df": [1, 2, 3, 4],
        "pl": [1, 2, 3, 4],
        "kept": [[1], [4]],
        "expression": [3, "x1"],
        "aliased": "x2",
        "landing": [[2, "b"], [9, "z"]],
        "landed": [[2, "b"]],
    }
    assert payloads["read_on_the_loop"] == {
        **READ,
        "one": [1],
        "all": ALL,
        "scalar": "a $1 ?",
        "arrow": 4,
        "df": 4,
        "pl": 4,
    }
    assert payloads["pushed"] == {"done": [1, 2, 3, 4], "sent": [10, 20, 30, 40], "same": True}
    assert shop.result("read_in_a_process")["payload"] == {"runs": 1, "scalar": 3, "arrow": 4, "before": "a $1 ?"}
    assert shop.result("new_orders")["payload"] == {"new": 4, "all": 4}
    assert (shop.root / "out/orders.csv").read_text().splitlines()[:2] == ["order_id,day,total", "1,2026-01-02,1.3"]
    assert shop.result("new_orders_in_threads")["payload"] == 4
    connected = shop.result("connected")["payload"]
    assert connected == 2 if backend == "asyncio" else "of asyncpg, which works on asyncio only" in connected
    assert "for `async def` here, and this is a `def`" in shop.result("connected_in_a_thread")["payload"]
    assert shop.statuses()["check:orders_are_large"] == "warned"


def test_a_dry_run_and_a_second_run_on_postgresql(shop):
    assert "1 succeeded, 13 would run; nothing was written" in shop.build("--dry-run").out
    for _ in range(2):  # each load goes on where the one before has ended, so that every day is a new one
        shop.build("--select", "+new_orders")
        assert shop.result("raw_orders")["metadata"] == {"rows": 4, "write_strategy": "merge"}
        assert shop.result("new_orders")["payload"] == {"new": 4, "all": 4}
    shop.build("--select", "new_orders")
    assert shop.result("new_orders")["payload"] == {"new": 0, "all": 4}
