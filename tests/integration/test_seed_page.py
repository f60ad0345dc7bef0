"""Every code block of the user's specification page runs as written.

The blocks are cut out of the page's text; a block is preceded only by the few names that the page leaves undefined.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

PAGE = (Path(__file__).parent / "assets_page.txt").read_text(encoding="utf-8")
FACT_ORDERS = {
    "models/fact_orders.sql": """
        MODEL (materialized table);
        SELECT range::INTEGER AS order_id, (range * 100)::INTEGER AS total_cents FROM range(1200)
    """
}


def block(first_line_after: str, last_line_before: str) -> str:
    """The lines of the page between two lines that start with these words."""
    lines = PAGE.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(first_line_after)) + 1
    end = next(index for index in range(start, len(lines)) if lines[index].startswith(last_line_before))
    return "\n".join(lines[start:end]).strip() + "\n"


def test_defining_an_asset(project):
    code = block("Place Python files under assets/", "The asset receives")
    assert code.startswith("# assets/exports.py\nfrom sqlbuild.assets import asset, AssetContext")
    project.write({"assets/exports.py": "def write_orders_csv():\n    return 'orders.csv'\n\n" + code})
    project.build()
    result = project.result("orders_export")
    assert result["status"] == "succeeded"
    assert result["materialized"] is True
    assert result["metadata"] == {"path": "orders.csv", "rows": 1200}


@pytest.mark.parametrize("unchanged", [True, False])
def test_materialization(project, unchanged):
    names = f"""
from sqlbuild.assets import asset, AssetContext
def nothing_changed(): return {unchanged}
def export(): return "out.csv"
"""
    project.write({"assets/exports.py": names + block("Assets record whether they", "  • materialized=True")})
    project.build()
    result = project.result("orders_export")
    assert result["status"] == "succeeded"
    assert result["materialized"] is (not unchanged)
    assert result["metadata"] == ({"status": "unchanged"} if unchanged else {"path": "out.csv"})


@pytest.mark.parametrize("layout", ["tasks/orders.py", "python/tasks/orders.py"])
def test_depending_on_a_task(project, layout):
    code = block("Assets declare dependencies with depends_on", "To read a SQL model or source")
    code = code.replace("from tasks.orders", "from python.tasks.orders") if layout.startswith("python/") else code
    project.write(
        {
            layout: """
                from sqlbuild.tasks import task, TaskContext

                @task
                def export_orders(ctx: TaskContext):
                    return ctx.result({"rows": 7})
            """,
            layout.replace("tasks/orders.py", "assets/dashboards.py"): code,
        }
    )
    project.build()
    assert project.result("orders_dashboard")["metadata"] == {"rows": 7}


def test_reading_a_model(project):
    code = block("To read a SQL model or source", "Columns and column lineage")
    project.write({**FACT_ORDERS, "assets/extract.py": code})
    project.build()
    assert project.result("orders_extract")["metadata"] == {"rows": 1200}


def test_columns_and_lineage_stand_in_the_dag_artifact(project):
    code = block("Assets can declare a schema", "  • columns - column")
    project.write({**FACT_ORDERS, "assets/exports.py": "from sqlbuild.assets import asset\n" + code})
    project.build()
    dag = project.sqb("dag", "--json").json
    node = next(node for node in dag["nodes"] if node["id"] == "asset:orders_export")
    assert [(column["name"], column["type"], column["nullable"]) for column in node["columns"]] == [
        ("order_id", "INTEGER", None),
        ("total_cents", "INTEGER", False),
    ]
    lineage = {
        name: [(source["node"], source["column"]) for source in found] for name, found in node["column_lineage"].items()
    }
    assert lineage == {"order_id": [("fact_orders", "order_id")], "total_cents": [("fact_orders", "total_cents")]}


@pytest.mark.parametrize("is_ready", [True, False])
def test_skipping_and_retries(project, is_ready):
    names = f"""
calls = []
def ready(): return {is_ready}
def do_export():
    calls.append(1)
    if len(calls) < 2:
        raise IOError("not yet")
    return "out.csv"
"""
    project.write({"assets/exports.py": names + block("Assets support the same ctx.skip", "See Tasks for")})
    project.build()
    result = project.result("export")
    if is_ready:
        assert (result["status"], result["attempt"]) == ("succeeded", 2)
        assert result["metadata"] == {"path": "out.csv"}
    else:
        assert (result["status"], result["skip_reason"], result["skip_mode"]) == (
            "skipped",
            "upstream not ready",
            "soft",
        )


def test_both_commands_under_running_assets(project):
    commands = [
        line.split() for line in block("Running assets", "Assets run during").splitlines() if line.startswith("sqb ")
    ]
    assert [command[1:] for command in commands] == [
        ["build", "--select", "orders_export", "--no-tests", "--no-audits"],
        ["build", "--select", "+orders_export"],
    ]
    project.write(
        {
            **FACT_ORDERS,
            "models/unrelated.sql": "SELECT 1 AS one",
            "assets/exports.py": """
                from sqlbuild.assets import asset
                from sqlbuild.refs import model

                @asset(depends_on=model("fact_orders"))
                def orders_export(ctx):
                    relation = ctx.relation(model("fact_orders"))
                    return ctx.query(f"SELECT count(*) FROM {relation}").scalar()
            """,
        }
    )
    for command in commands:
        finished = project.sqb(*command[1:])
        assert finished.code == 0, finished.everything
        assert project.statuses() == {"model:fact_orders": "succeeded", "asset:orders_export": "succeeded"}
    project.build("--select", "orders_export", "--no-tests", "--no-audits")
    assert project.statuses() == {"asset:orders_export": "succeeded"}, "what exists is used as it stands"


def test_no_python_leaves_assets_out(project):
    project.write(
        {**FACT_ORDERS, "assets/a.py": "from sqlbuild.assets import asset\n@asset\ndef one(ctx):\n    return 1\n"}
    )
    project.build("--no-python")
    assert project.statuses() == {"model:fact_orders": "succeeded"}


def test_python_reads_a_table_source_with_its_declared_types(project):
    project.write(
        {
            "sources/raw.yml": """
                sources:
                  - name: typed
                    table: untyped
                    columns:
                      - name: amount
                        type: INTEGER
            """,
            "assets/a.py": """
                from sqlbuild.assets import asset
                from sqlbuild.refs import source

                @asset(depends_on=source("typed"))
                def reads(ctx):
                    return ctx.query(f"SELECT typeof(amount) FROM {ctx.relation(source('typed'))}").scalar()
            """,
        }
    )
    with duckdb.connect(str(project.root / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE untyped AS SELECT '12' AS amount")
    project.build()
    assert project.result("reads")["payload"] == "INTEGER"
    assert "INTEGER" in project.sqb("query", "SELECT typeof(amount) AS t FROM source:typed").out
