"""What killed commands leave: it is known to be dead, removed and told; what could be gone on with is kept until --all."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest
from faulty_places import on_both, on_both_slowly

LOADING = {
    "sources/raw.yml": "sources:\n  - {name: raw_orders, managed: true}\n",
    "models/orders.sql": 'MODEL (materialized table);\nSELECT id, gen_random_uuid() AS made FROM __source("raw_orders")\n',
    "models/doubled.sql": 'MODEL (materialized view);\nSELECT id * 2 AS id FROM __ref("orders")\n',
    "python/nodes.py": """
        import os
        from sqlbuild.assets import asset
        from sqlbuild.loaders import loader
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        @loader
        def raw_orders(ctx):
            for number in range(5):
                yield [{"id": number * 3_000 + row} for row in range(3_000)]
                if number == 3 and os.environ.get("DIE"):
                    os._exit(9)

        @task
        def checkpoints(ctx):
            for key in ("a", "b", "c"):
                ctx.checkpoint(key, 1)
            if os.environ.get("FAIL"):
                raise ValueError("not today")

        @asset(depends_on=model("doubled"))
        def seen(ctx):
            return {"rows": ctx.query(f"SELECT count(*) FROM {ctx.relation(model('doubled'))}").scalar()}
        """,
}
STAGING = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE '%staging%'"


@pytest.fixture
def loading(faulty):
    return faulty.write(LOADING)


def run_folders(project):
    return sorted(path.name for path in (project.root / "target" / "runs").iterdir())


def killed(project, point):
    """Build, and be killed there."""
    project.environ["SQB_FAILPOINT"] = f"{point}:kill"
    assert project.sqb("build").exit_code == -signal.SIGKILL
    del project.environ["SQB_FAILPOINT"]


# -- tables that took effect ------------------------------------------------------------------------------------------


@on_both_slowly
def test_a_table_that_was_built_before_the_kill_is_not_built_again(loading):
    killed(loading, "model.swapped")
    made = loading.query("SELECT id, made FROM orders ORDER BY id LIMIT 3")
    resumed = loading.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert "orders had taken effect" in resumed.stdout
    assert loading.query("SELECT id, made FROM orders ORDER BY id LIMIT 3") == made
    assert "orders" not in loading.statuses()
    stored = "SELECT status FROM _sqlbuild_node_results WHERE node_id = 'model:orders'"
    assert loading.query(stored) == [("succeeded",)]


@on_both_slowly
def test_a_table_that_was_only_staged_is_built(loading):
    killed(loading, "model.staged")
    resumed = loading.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert "taken effect" not in resumed.stdout
    assert loading.query("SELECT count(*) FROM orders") == [(15_000,)]


# -- unfinished tables ------------------------------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("command", ["build", "clean"])
def test_the_staging_table_of_a_killed_load_is_removed_and_told(loading, command):
    loading.environ["DIE"] = "1"
    assert loading.sqb("build").exit_code == 9
    del loading.environ["DIE"]
    (run,) = run_folders(loading)
    ((table,),) = loading.query(STAGING)
    assert table == f"_sqlbuild_staging__{run.lower()}__raw_orders"
    schema = loading.place.schema
    (loading.root / "target" / "state.json.999999999.tmp").write_text("{")
    told = loading.sqb(command)
    assert told.exit_code == 0, told.output
    if command == "build":
        removed = f"{schema}.{table}, target/state.json.999999999.tmp"
        assert f"removed 2 unfinished tables and files of dead runs: {removed}\n" in told.stdout
        assert "warnings" in told.stdout  # of the run that was lost, and of nothing else
        assert told.stdout.count(table) == 1
    else:
        assert f"removed {schema}.{table}\n" in told.stdout
        assert f"run {run} had ended without a word" in told.stderr
        assert f"kept target/runs/{run}" in told.stdout
    assert loading.query(STAGING) == []


@on_both_slowly
def test_a_view_called_like_a_staging_table_is_left_alone(loading):
    loading.write(
        {
            "python/own.py": """
        from sqlbuild.tasks import task

        @task
        def own(ctx):
            ctx.execute_sql("CREATE OR REPLACE VIEW _sqlbuild_staging__mine AS SELECT 1 AS a")
        """
        }
    )
    loading.build()
    again = loading.build()
    assert "unfinished" not in again.stdout
    assert loading.query("SELECT * FROM _sqlbuild_staging__mine") == [(1,)]


# -- clean ------------------------------------------------------------------------------------------------------------


def test_a_run_that_could_be_gone_on_with_is_kept_until_it_is_given_up(loading):
    loading.build()
    (ended,) = run_folders(loading)
    loading.environ["FAIL"] = "1"
    assert loading.sqb("build").exit_code == 1
    del loading.environ["FAIL"]
    (failed,) = set(run_folders(loading)) - {ended}
    cleaned = loading.sqb("clean")
    assert f"removed target/runs/{ended}" in cleaned.stdout
    assert f"kept target/runs/{failed}" in cleaned.stdout
    refused = loading.sqb("clean", "--all")
    assert refused.exit_code == 2
    told = f"    {failed}  on target dev, failed, 4 of 5 nodes done, 3 checkpoints\n"
    assert told in refused.stderr
    assert "give --yes" in refused.stderr
    assert run_folders(loading) == [failed]
    removed = loading.sqb("clean", "--all", "--yes")
    assert removed.exit_code == 0, removed.output
    assert told in removed.stdout
    assert f"removed target/runs/{failed}" in removed.stdout
    assert not (loading.root / "target").exists()
    assert loading.sqb("retry").exit_code == 2


def test_a_run_whose_nodes_a_later_one_has_built_is_no_loss(loading):
    loading.environ["FAIL"] = "1"
    loading.sqb("build")
    del loading.environ["FAIL"]
    loading.build()
    cleaned = loading.sqb("clean", "--json")
    assert cleaned.json["kept"] == []
    assert cleaned.json["given_up"] == []


def test_what_a_lost_run_has_only_in_its_journal_is_brought_to_the_warehouse_first(loading):
    loading.environ["SQB_FAILPOINT"] = "node.recorded:kill@4"
    loading.sqb("build")
    del loading.environ["SQB_FAILPOINT"]
    (run,) = run_folders(loading)
    removed = loading.sqb("clean", "--all", "--yes", "--json")
    assert [given_up["run_id"] for given_up in removed.json["given_up"]] == [run]
    assert removed.json["given_up"][0]["only_in_journal"] == 0
    assert "sqb retry" not in removed.output
    stored = loading.query("SELECT count(*) FROM _sqlbuild_node_results WHERE status = 'succeeded'")
    assert stored == [(4,)]


def test_what_no_warehouse_has_is_told(loading):
    loading.environ["SQB_FAILPOINT"] = "node.recorded:kill@2"
    loading.sqb("build")
    del loading.environ["SQB_FAILPOINT"]
    (loading.root / "faulty.duckdb").unlink()
    (loading.root / "faulty.duckdb.wal").unlink(missing_ok=True)
    refused = loading.sqb("clean", "--all")
    assert "was cut off, 2 of 5 nodes done" in refused.stderr
    assert "2 results that no warehouse has\n" in refused.stderr


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_on_a_terminal_it_asks(loading, answer, code):
    loading.build("checkpoints")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sqlbuild", "clean", "--all"],
        cwd=loading.root,
        env=loading.environ,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = ""
    while "[y/N]" not in shown:
        shown += os.read(ours, 4096).decode()
    assert "journals and logs of 1 other run" in shown
    os.write(ours, answer.encode())
    stdout, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == code
    assert ("removed target/run_results.json" in stdout) == (code == 0)
    assert (loading.root / "target").exists() == (code != 0)


def test_the_run_that_is_gone_on_with_is_not_pruned(loading):
    loading.write({"sqlbuild_project.toml": 'name = "faulty"\n[settings]\nkeep_runs = 1\n'})
    loading.environ["FAIL"] = "1"
    loading.sqb("build", "checkpoints")
    (failed,) = run_folders(loading)
    del loading.environ["FAIL"]
    loading.build("raw_orders")
    resumed = loading.sqb("retry", "--run", failed)
    assert resumed.exit_code == 0, resumed.output


# -- tests of SQL -----------------------------------------------------------------------------------------------------

ENDLESS = """
TEST (name "endless");
WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000000000),
__source__raw AS (SELECT n AS id FROM numbers),
__expected__orders AS (SELECT 1 AS id)
"""


@pytest.mark.slow
@on_both
def test_unit_tests_that_are_killed_leave_nothing_but_that_they_were(faulty):
    source = "sources:\n  - {name: raw, expression: SELECT 1 AS id}\n"
    faulty.write({"models/orders.sql": 'SELECT id FROM __source("raw")\n', "sources/raw.yml": source})
    faulty.build()
    tables = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2"
    before = faulty.query(tables)
    faulty.write({"tests/unit/endless.sql": ENDLESS})
    process = faulty.start("test", "--events")
    assert any('"node_started"' in line for line in process.stdout), process.communicate()
    process.kill()
    process.communicate()
    faulty.write({"tests/unit/endless.sql": ENDLESS.replace("2000000000", "2")})
    again = faulty.sqb("test")
    assert again.exit_code == 1, again.output
    assert "NotAsExpected" in again.output
    assert faulty.query(tables) == before
    assert faulty.sqb("clean").exit_code == 0
    assert not (faulty.root / "target/tests").exists()
