"""One small project on PostgreSQL, by every command: never built, being built, killed, gone on with, and out of reach."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

SETTINGS = """
    name = "shop"
    adapter = "postgres"
    default_target = "dev"

    [connections.server]
    dsn = "${ENV:SHOP_DSN}"

    [targets.dev]
    connection = "server"
    schema = "Dev"

    [targets.prod]
    connection = "server"
    schema = "prod"
"""
NODES = """
    import pathlib, time
    from sqlbuild.assets import asset
    from sqlbuild.checks import check
    from sqlbuild.refs import model
    from sqlbuild.tasks import task

    @asset(depends_on=model("orders"))
    async def totals(ctx):
        orders = ctx.relation(model("orders"))
        sql = f"SELECT sum(amount)::int FROM {orders} WHERE id > $least"
        return {"amount": await ctx.query(sql, {"least": 1}).scalar()}

    @check(depends_on=model("orders"))
    def has_orders(ctx):
        return ctx.query(f"SELECT count(*) FROM {ctx.relation(model('orders'))}").scalar() == 10

    @task(depends_on=totals)
    def tell(ctx):
        pathlib.Path("held").touch()
        while not pathlib.Path("release").exists():
            time.sleep(0.01)
        return ctx.result_of(totals).payload
"""
FILES = {
    "sqlbuild_project.toml": SETTINGS,
    "models/recent.sql": """
        MODEL (materialized view);
        SELECT n AS id, n * 2 AS amount FROM generate_series(1, 10) AS made (n)
    """,
    "models/orders.sql": 'MODEL (materialized table);\nSELECT id, amount FROM __ref("recent")\n',
    "python/nodes.py": NODES,
}


@pytest.fixture
def shop(postgres_project):
    return postgres_project.write(FILES)


def wait_for(project, process, name):
    give_up_at = time.monotonic() + 60
    while not (project.root / name).exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_at


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_that_was_killed_is_gone_on_with(shop, on_server, backend):
    build = shop.start("build", "--backend", backend)
    wait_for(shop, build, "held")
    (run,) = (path.name for path in (shop.root / "target/runs").iterdir())

    running = f"as of run {run}, running (sqb build, pid {build.pid} on "
    assert shop.sqb("list").err.startswith(running)
    assert shop.sqb("query", "SELECT count(*) AS n FROM model:orders", "--json").json["rows"] == [[10]]
    locked = shop.sqb("build", "--lock-timeout", "0")
    assert (locked.code, f"target dev is held by run {run} (pid {build.pid}" in locked.err) == (3, True), (
        locked.everything
    )
    assert shop.sqb("history").out.splitlines()[1].startswith(run)

    build.kill()
    build.communicate()
    (shop.root / "release").touch()
    retried = shop.sqb("retry", "--backend", backend)
    assert retried.code == 0, retried.everything
    assert "of tell no end was seen" in retried.out
    assert shop.result("tell")["payload"] == {"amount": 108}
    told = "SELECT status, attempt FROM \"Dev\"._sqlbuild_node_results WHERE node_id = 'task:tell' ORDER BY stored_at"
    assert on_server(told) == [["unknown", "1"], ["succeeded", "2"]]
    assert shop.sqb("history", "--json").json["runs"][0]["counts"] == {"succeeded": 5}
    assert on_server('SELECT count(*) FROM "Dev"._sqlbuild_runs') == [["2"]]
    assert on_server("SELECT relkind FROM pg_class WHERE oid = '\"Dev\".recent'::regclass") == [["v"]]


def test_every_command_tells_of_a_target_that_was_never_built_and_that_was_built(shop, on_server):
    (shop.root / "release").touch()
    assert shop.sqb("history").out == "no run on target dev yet: `sqb build` makes the first one\n"
    plan = {step["name"]: step["reason"] for step in shop.sqb("plan", "--json").json["nodes"]}
    assert set(plan.values()) == {"first run"}
    assert shop.sqb("build", "--dry-run").code == 0
    assert shop.sqb("clean").code == 0
    missing = shop.sqb("query", "SELECT * FROM model:orders")
    assert (missing.code, 'relation "Dev.orders" does not exist' in missing.err) == (1, True)
    assert on_server("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^public$'") == []

    shop.build()
    plan = {step["name"]: step["reason"] for step in shop.sqb("plan", "--json").json["nodes"]}
    assert set(plan.values()) == {"selected"}
    (run,) = shop.sqb("history", "--json").json["runs"]
    assert run["counts"] == {"succeeded": 5}
    assert shop.sqb("show", "orders", "--json").json["results"][0]["status"] == "succeeded"
    assert len(shop.sqb("history", "tell", "--json").json["results"]) == 1
    shop.sqb(
        "query", "SELECT id, amount::numeric(5, 2) AS amount FROM model:orders WHERE id < 3 ORDER BY id", "-o", "a.csv"
    )
    assert (shop.root / "a.csv").read_text() == "id,amount\n1,2.00\n2,4.00\n"
    refused = shop.sqb("query", "DELETE FROM model:orders")
    assert (refused.code, "in a read-only transaction" in refused.err) == (1, True)


def test_a_server_that_cannot_be_reached_stops_only_what_needs_it(shop):
    nowhere = {"SHOP_DSN": "postgresql://shop:geheim@127.0.0.1:1/shop"}
    for command in (("build",), ("query", "SELECT 1"), ("history",)):
        finished = shop.sqb(*command, env=nowhere)
        assert (finished.code, finished.out) == (4, "")
        assert finished.err.startswith("error[WAREHOUSE] PostgreSQL at 127.0.0.1:1/shop cannot be reached: "), command
        assert "geheim" not in finished.err
    assert shop.sqb("list", env=nowhere).out.split() == ["recent", "orders", "totals", "has_orders", "tell"]


def test_a_role_that_may_only_read_is_told_so_before_any_node_starts(shop, on_server, postgres_server, postgres_url):
    (shop.root / "release").touch()
    shop.build()
    with postgres_server.new_role() as role:
        on_server(f'GRANT USAGE ON SCHEMA "Dev" TO {role}')
        on_server(f'GRANT SELECT ON ALL TABLES IN SCHEMA "Dev" TO {role}')
        reader = {"SHOP_DSN": postgres_server.dsn(urlsplit(postgres_url).path.strip("/"), user=role)}
        for target, what in (("dev", "table _sqlbuild_commits"), ("prod", "database")):
            refused = shop.sqb("build", "--target", target, env=reader)
            assert (refused.code, refused.out) == (4, "")
            assert f"target {target} cannot be built: permission denied for {what}" in refused.err
        assert shop.sqb("plan", env=reader).code == 0
        assert shop.sqb("query", "SELECT sum(amount) FROM model:orders", "--json", env=reader).json["rows"] == [[110]]
        on_server(f"DROP OWNED BY {role}")
    assert len(list((shop.root / "target/runs").iterdir())) == 1


def test_what_a_dead_run_left_is_removed_and_what_others_have_is_not(shop, on_server):
    (shop.root / "release").touch()
    on_server('CREATE SCHEMA "Dev"; CREATE SCHEMA prod; CREATE SCHEMA other')
    stale = "_sqlbuild_staging__20260101t000000z-abcdef__orders"
    for schema in ('"Dev"', "prod", "other"):
        on_server(f'CREATE TABLE {schema}."{stale}" (a int)')
    assert f"removed 1 unfinished table or file of dead runs: dev.{stale}" in shop.build().out
    assert on_server(f"SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = '{stale}' ORDER BY 1") == [
        ["other"],
        ["prod"],
    ]
