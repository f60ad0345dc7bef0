"""Hooks of models, in SQL and in Python, on both warehouses: when they run, and what becomes of those that fail."""

from __future__ import annotations

import signal
from urllib.parse import urlsplit

import pytest

ON_POSTGRES = """
    name = "shop"
    adapter = "postgres"
    [connections.server]
    dsn = "${ENV:SHOP_DSN}"
    [targets.dev]
    schema = "dev"
    [vars]
    log = "dev.hook_log"
"""
ON_DUCKDB = 'name = "shop"\n[targets.dev]\nschema = "dev"\n[vars]\nlog = "dev.hook_log"\n'
FILES = {
    "models/orders.sql": """
        MODEL (
          materialized table,
          pre_hooks [
            sql("make_log", relation: "@@log"),
            python("note", step: 1, what: "before"),
          ],
          post_hooks [
            inline_sql(\"\"\"
              INSERT INTO @@log
              SELECT 2, '@@CTX:run.id', @py.shown("count(*)") FROM @@CTX:destination.qualified
            \"\"\"),
            python("note_async", step: 3),
            python("note", step: 4, what: "after"),
          ],
        );
        SELECT 1 AS id UNION ALL SELECT 2
    """,
    "hooks/sql/make_log.sql": """
        HOOK (description "The table that hooks write to");
        CREATE TABLE IF NOT EXISTS @relation (step INTEGER, run VARCHAR(40), what VARCHAR(80))
    """,
    "hooks/sql/forget.sql": """
        HOOK (description "Rows of steps that nobody needs");

        DELETE FROM @@log
        WHERE step IN (@'steps')
          AND nothing = 1
    """,
    "models/totals.sql": 'MODEL (materialized table);\nSELECT count(*) AS orders FROM __ref("orders")\n',
    "macros/python/texts.py": """
        def shown(expression):
            return f"CAST({expression} AS VARCHAR(80))"
    """,
    "providers/names.py": """
        from sqlbuild.providers import Provider

        class ShopName(Provider):
            name: str = "corner"
    """,
    "hooks/python/notes.py": """
        from sqlbuild.hooks import AsyncHookContext, HookContext, hook

        @hook
        def note(ctx: HookContext, shop_name, step, what):
            found = ctx.query(f"SELECT count(*) FROM {ctx.vars['log']}").scalar()
            said = f"{what} {found} {ctx.phase}[{ctx.hook_index}] {ctx.model_name} {ctx.destination.table} {shop_name.name}"
            ctx.log(said)
            ctx.execute_sql(f"INSERT INTO {ctx.vars['log']} VALUES ({step}, '{ctx.run_id}', '{said}')")

        @hook
        async def note_async(ctx: AsyncHookContext, step):
            rows = await ctx.query(f"SELECT max(id) FROM {ctx.destination.qualified}").scalar()
            await ctx.execute_sql(f"INSERT INTO {ctx.vars['log']} VALUES ({step}, '{ctx.run_id}', 'highest {rows}')")

        @hook
        def fails(ctx):
            raise ValueError(f"nothing for {ctx.model_name}")
    """,
}
STEPS = [
    ["1", "before 0 pre_hooks[1] orders orders corner"],
    ["2", "2"],
    ["3", "highest 2"],
    ["4", "after 3 post_hooks[2] orders orders corner"],
]
LOG = "SELECT step, what FROM dev.hook_log ORDER BY step"


@pytest.fixture(params=["duckdb", "postgres"])
def shop(request, project, monkeypatch):
    """The project, and what reads rows of its target as text."""
    if request.param == "duckdb":
        project.write({"sqlbuild_project.toml": ON_DUCKDB, **FILES})
        return project, lambda sql: [["" if cell is None else str(cell) for cell in row] for row in project.rows(sql)]
    url, server = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_server")
    monkeypatch.setenv("SHOP_DSN", url)
    project.write({"sqlbuild_project.toml": ON_POSTGRES, **FILES})
    return project, lambda sql: server.sql(sql, database=urlsplit(url).path.strip("/"))


def test_hooks_run_in_their_order_and_again_with_a_run_that_was_killed_before_them(shop):
    project, rows = shop
    killed = project.sqb("build", env={"SQB_FAILPOINT": "model.swapped:kill"})
    assert killed.code == -signal.SIGKILL
    assert rows(LOG) == STEPS[:1]
    again = project.sqb("retry")
    assert again.code == 0, again.everything
    assert project.statuses() == {"model:orders": "succeeded", "model:totals": "succeeded"}
    before = [["1", "before 1 pre_hooks[1] orders orders corner"]]
    after = [["4", "after 4 post_hooks[2] orders orders corner"]]
    assert sorted(rows(LOG)) == sorted([*STEPS[:3], *before, *after])
    assert rows("SELECT count(DISTINCT run) FROM dev.hook_log") == [["1"]]


def test_a_hook_that_fails_before_keeps_the_old_table_and_one_that_fails_after_does_not(shop):
    project, rows = shop
    project.write({"models/orders.sql": "MODEL (materialized table);\nSELECT 1 AS id\n"})
    project.build()

    def build(hooks: str) -> str:
        project.write({"models/orders.sql": f"MODEL (\n  materialized table,\n  {hooks}\n);\nSELECT 2 AS id\n"})
        told = project.sqb("build")
        assert told.code == 1
        assert project.statuses() == {"model:orders": "failed", "model:totals": "blocked"}
        return told.everything

    told = build('pre_hooks [\n    inline_sql("SELECT 1"),\n    inline_sql("DELETE FROM\n      nowhere"),\n  ]')
    # Where the warehouse does not say which line it is, it is the first one of the statement.
    assert "models/orders.sql:5" in told or "models/orders.sql:6" in told
    assert "pre_hooks[1] inline_sql(...)" in told
    told = build("pre_hooks [sql(make_log, relation: dev.hook_log), sql(forget, steps: [1, 2])]")
    assert "hooks/sql/forget.sql:" in told
    assert 'pre_hooks[1] sql("forget")' in told
    assert rows("SELECT id FROM dev.orders") == [["1"]]
    told = build('post_hooks [python("fails"), inline_sql("CREATE TABLE dev.never AS SELECT 1 AS one")]')
    assert "hooks/python/notes.py:18: ValueError: nothing for orders" in told
    assert rows("SELECT id FROM dev.orders") == [["2"]]
    assert rows("SELECT count(*) FROM information_schema.tables WHERE table_name = 'never'") == [["0"]]


def test_a_hook_is_bounded_by_the_time_limit_of_its_model(project):
    endless = "CREATE TABLE far AS SELECT sum(a.range * b.range) AS s FROM range(1000000) a, range(1000000) b"
    project.write({"models/slow.sql": f'MODEL (timeout 1, post_hooks [inline_sql("{endless}")]);\nSELECT 1 AS one\n'})
    assert project.sqb("build").code == 1
    assert project.statuses() == {"model:slow": "timed_out"}
