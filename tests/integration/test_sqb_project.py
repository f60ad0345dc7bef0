"""The pytest fixture that projects get with sqlbuild, used as they use it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sqlbuild.errors import WarehouseUnreachable

FILES = {
    "models/orders.sql": """
        MODEL (materialized table);

        SELECT 1 AS order_id, DATE '2026-01-02' AS day
    """,
    "tasks/nodes.py": """
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        @task(depends_on=model("orders"))
        def count_orders(ctx):
            return ctx.query(f"SELECT count(*) FROM {ctx.relation(model('orders'))}").scalar()
    """,
}


def test_a_project_is_written_built_and_looked_into(sqb_project):
    project = sqb_project(FILES)
    built = project.build("--json")
    assert built.exit_code == 0
    assert built.json["counts"] == {"succeeded": 2}
    assert project.result("count_orders")["payload"] == 1
    assert project.result("task:count_orders")["status"] == "succeeded"
    assert project.statuses() == {"orders": "succeeded", "count_orders": "succeeded"}
    assert [str(row) for row in project.query("SELECT order_id, day FROM main.orders")] == [
        "(1, datetime.date(2026, 1, 2))"
    ]
    with pytest.raises(KeyError, match="nothing"):
        project.result("nothing")


async def test_what_was_built_can_be_read_in_an_async_test(sqb_project):
    project = sqb_project(FILES)
    with pytest.raises(WarehouseUnreachable):
        project.query("SELECT 1")
    project.build()
    assert project.query("SELECT order_id FROM main.orders") == [(1,)]


def test_a_command_may_fail_and_a_build_may_not(sqb_project):
    project = sqb_project(FILES)
    sqb_project({"models/orders.sql": "SELECT * FROM nowhere"})
    refused = project.sqb("build")
    assert refused.exit_code == 1
    assert "nowhere" in refused.output
    with pytest.raises(AssertionError, match=r"(?s)ended with 1.*nowhere"):
        project.build()


def test_settings_of_ones_own_are_kept(sqb_project):
    project = sqb_project({**FILES, "sqlbuild_project.toml": 'name = "shop"\n[vars]\nmonth = 5\n'})
    project.build()
    assert (project.root / "shop.duckdb").exists()


def test_a_session_that_does_not_use_it_loads_no_engine(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_other():\n"
        "    assert 'sqlbuild.pytest_plugin' in sys.modules\n"
        "    assert not {'duckdb', 'sqlglot', 'typer', 'sqlbuild.testing'} & set(sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_module_for_tests_imports_no_pytest():
    code = "import sys, sqlbuild.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_project_may_be_built_on_a_server(sqb_project, postgres_url):
    settings = """
        name = "shop"
        adapter = "postgres"
        [connections.server]
        dsn = "${ENV:SHOP_DSN}"
        [targets.ci]
        connection = "server"
        schema = "ci"
    """
    project = sqb_project(
        {"sqlbuild_project.toml": settings, "models/orders.sql": "SELECT '{\"id\": 1}'::jsonb AS line"}
    )
    project.environ["SHOP_DSN"] = postgres_url
    project.build()
    assert project.query("SELECT line ->> 'id' FROM ci.orders") == [("1",)]
