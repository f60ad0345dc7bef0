"""A target that the first version of the state tables was written in: read as it is, migrated by the first command that
writes to it, by one that is killed on the way too."""

from __future__ import annotations

import signal
from pathlib import Path

import duckdb
import pytest

FIRST_SCHEMA = Path(__file__).parents[1] / "fixtures" / "first_schema.sql"
PROJECT = {
    "models/orders.sql": "MODEL (materialized table);\nSELECT range AS id, range * 2 AS twice FROM range(10)\n",
    "python/nodes.py": """
        from sqlbuild.assets import asset
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        @task
        async def first(ctx):
            return {"rows": 5}

        @asset(depends_on=(model("orders"), first))
        def export(ctx):
            return {"rows": 11}

        @asset(depends_on=export)
        def report(ctx):
            return {"read": ctx.result_of(export).payload["rows"], "before": len(ctx.results_of(export))}
        """,
}
MIGRATED = "the state in main was brought from version 1 to 3"
VERSIONS = "SELECT schema_version FROM _sqlbuild_meta ORDER BY ALL"


@pytest.fixture
def old(project):
    with duckdb.connect(str(project.root / "shop.duckdb")) as connection:
        connection.execute(FIRST_SCHEMA.read_text(encoding="utf-8"))
    return project.write(PROJECT)


def test_what_only_reads_reads_it_as_it_is(old):
    plan = old.sqb("plan", "--json")
    assert plan.code == 0, plan.everything
    reasons = {step["name"]: step["reason"] for step in plan.json["nodes"]}
    assert reasons["orders"] == "code changed"
    assert reasons["report"] == "first run"
    asked = old.sqb("query", "SELECT count(*) AS n FROM model:orders")
    assert (asked.code, asked.out.split()[:2]) == (0, ["n", "10"])
    dry = old.sqb("build", "--dry-run")
    assert dry.code == 0, dry.everything
    for command in (("show", "export"), ("list",), ("dag",), ("history",), ("history", "export")):
        assert old.sqb(*command).code == 0
    assert old.rows(VERSIONS) == [(1,)]
    assert MIGRATED not in plan.everything + dry.everything


def test_the_first_command_that_writes_brings_it_to_the_present_version(old):
    before = old.rows("SELECT run_id, node_id, status FROM _sqlbuild_node_results ORDER BY ALL")
    finished = old.build("report", "--only")
    assert finished.out.count(MIGRATED) == 1
    assert old.rows(VERSIONS) == [(1,), (2,), (3,)]
    # Its upstream did not run: the stored success is what is read.
    assert old.result("report")["payload"] == {"read": 10, "before": 1}
    after = old.rows("SELECT run_id, node_id, status FROM _sqlbuild_node_results ORDER BY ALL")
    assert set(before) < set(after)
    assert len(after) == len(before) + 1
    again = old.build()
    assert MIGRATED not in again.everything
    assert old.rows(VERSIONS) == [(1,), (2,), (3,)]


def test_its_history_is_known_after_that(old):
    old.build("report", "--only")
    shown = old.sqb("show", "export")
    assert shown.code == 0, shown.everything
    assert "failed in run 20261122T160000Z-3d4e5f" in shown.out
    history = old.sqb("history", "export")
    assert "20261122T153610Z-0a1b2c" in history.out, history.everything
    assert "it's not today" in history.out
    assert old.sqb("list", "state:failed").out.split() == ["export"]


def test_what_the_first_version_left_in_staging_is_removed_and_told(old):
    finished = old.build("report", "--only")
    assert "removed 1 unfinished table or file of dead runs: main._sqlbuild_staging__orders\n" in finished.out
    assert old.rows("SELECT table_name FROM duckdb_tables() WHERE contains(table_name, 'staging')") == []


@pytest.mark.parametrize("point", ["warehouse.committing:kill", "run.prepared:kill"])
def test_a_migration_that_is_killed_is_done_by_the_next_command(old, point):
    killed = old.sqb("build", env={"SQB_FAILPOINT": point})
    assert killed.code == -signal.SIGKILL, killed.everything
    versions = old.rows(VERSIONS)
    assert versions == ([(1,)] if "committing" in point else [(1,), (2,), (3,)])
    columns = old.rows("SELECT count(*) FROM duckdb_columns() WHERE column_name IN ('exports', 'attempt')")
    assert columns == [(1 if versions == [(1,)] else 3,)]
    finished = old.build()
    assert (MIGRATED in finished.out) == (versions == [(1,)])
    assert old.rows(VERSIONS) == [(1,), (2,), (3,)]
    assert old.result("report")["payload"] == {"read": 11, "before": 2}


def test_a_target_of_a_newer_version_is_left_alone(old):
    old.build()
    with duckdb.connect(str(old.root / "shop.duckdb")) as connection:
        connection.execute("INSERT INTO _sqlbuild_meta VALUES (4, NULL)")
    for command in (("build",), ("plan",), ("retry", "--run", "20990101T000000Z-abcdef")):
        refused = old.sqb(*command)
        assert refused.code == 2, refused.everything
    assert "the state in main has version 4; this sqlbuild knows up to 3" in old.sqb("build").err
