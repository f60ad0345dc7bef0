"""Runs that are killed, interrupted or fail, and are gone on with."""

from __future__ import annotations

import json
import signal

import pytest

from sqlbuild.domain.results import SUCCESSES, Status
from sqlbuild.state.journal import read_journal

PROJECT = {
    "models/stg_orders.sql": "MODEL (materialized view);\nSELECT range AS id FROM range(10)\n",
    "models/orders.sql": 'MODEL (materialized table);\nSELECT id, id * 2 AS twice FROM __ref("stg_orders")\n',
    "models/totals.sql": 'MODEL (materialized table);\nSELECT sum(twice) AS total FROM __ref("orders")\n',
    "python/nodes.py": """
        import os
        from sqlbuild.assets import asset
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        def called(ctx):
            with open("calls.txt", "a") as calls:
                calls.write(f"{ctx.node_name}\\n")

        @task
        async def first(ctx):
            called(ctx)
            return {"rows": 3}

        @task(depends_on=first)
        def second(ctx):
            called(ctx)
            return {"seen": ctx.result_of(first).payload["rows"], "run": ctx.result_of(first).run_id}

        @asset(depends_on=(model("totals"), second))
        async def export(ctx):
            called(ctx)
            rows = await ctx.query(f"SELECT total FROM {ctx.relation(model('totals'))}").fetchall()
            with open("export.txt", "w") as file:
                file.write(str(rows))
            if os.environ.get("FAIL"):
                raise ValueError("not today")
            return {"rows": len(rows)}

        @asset(depends_on=export)
        def report(ctx):
            called(ctx)
            return ctx.result_of(export).payload
        """,
}
NODES = {
    "model:stg_orders", "model:orders", "model:totals", "task:first", "task:second", "asset:export", "asset:report",
}  # fmt: skip
LAST_STATUS = (
    "SELECT node_id, status FROM _sqlbuild_node_results "
    "QUALIFY row_number() OVER (PARTITION BY node_id ORDER BY stored_at DESC) = 1"
)
POINTS = [
    *(f"node.recorded:kill@{n}" for n in (1, 2, 3, 4, 5, 6, 7)),
    *(f"node.returned:kill@{n}" for n in (1, 3, 5, 7)),
    *(f"model.staged:kill@{n}" for n in (1, 2)),
    *(f"model.swapped:kill@{n}" for n in (1, 2)),
]


def journal_of(project):
    (path,) = (project.root / "target" / "runs").glob("*/journal.jsonl")
    return read_journal(str(path))


def calls(project):
    path = project.root / "calls.txt"
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_was_killed_ends_as_one_that_was_not(project, point):
    project.write(PROJECT)
    killed = project.sqb("build", env={"SQB_FAILPOINT": point})
    assert killed.code == -signal.SIGKILL, killed.everything
    journal = journal_of(project)
    done = {node for node, record in journal.records.items() if Status(json.loads(record)["status"]) in SUCCESSES}
    before = calls(project)

    resumed = project.sqb("retry")
    assert resumed.code == 0, resumed.everything
    assert f"run {journal.run_id} goes on" in resumed.out
    # Only what had no success of its own, or reads something that had none, was called again.
    again = calls(project)[len(before) :]
    assert not {name for name in again if done & {f"task:{name}", f"asset:{name}"}}
    assert dict(project.rows(LAST_STATUS)) == dict.fromkeys(NODES, "succeeded")
    assert project.rows("SELECT DISTINCT run_id FROM _sqlbuild_node_results") == [(journal.run_id,)]
    assert project.rows("SELECT total FROM totals") == [(90,)]
    assert (project.root / "export.txt").read_text() == "[(90,)]"
    tables = {name for (name,) in project.rows("SELECT table_name FROM information_schema.tables")}
    assert not {name for name in tables if "staging" in name}
    assert journal_of(project).ended_with == 0


def test_the_next_command_stores_what_a_killed_run_left_in_its_journal(project):
    project.write(PROJECT)
    project.sqb("build", env={"SQB_FAILPOINT": "node.recorded:kill@3"})
    told = project.build("first", "--only")
    assert "had ended without a word" in told.out
    stored = project.rows("SELECT status, count(*) FROM _sqlbuild_node_results GROUP BY ALL ORDER BY ALL")
    # Three from the journal and the one of this run; a table that was committed meanwhile counts too.
    committed = "had taken effect" in told.out
    assert sum(count for status, count in stored if status == "succeeded") == 4 + committed
    assert project.rows("SELECT stopped_by, exit_code FROM _sqlbuild_runs ORDER BY stored_at") == [
        ("lost", 5),
        (None, 0),
    ]


def test_what_failed_runs_again_and_reads_what_its_run_had_done(project):
    project.write(PROJECT)
    failed = project.sqb("build", env={"FAIL": "1"})
    assert failed.code == 1
    assert "next: sqb retry" in failed.out
    resumed = project.sqb("build", "--resume", "--json")
    assert resumed.code == 0, resumed.everything
    results = {result["name"]: result for result in resumed.json["results"]}
    assert set(results) == {"export", "report"}
    assert results["export"]["attempt"] == 2
    assert calls(project).count("first") == 1


@pytest.mark.parametrize("point", ["journal.opened:kill", "journal.begun:kill"])
def test_a_run_that_died_before_it_had_a_plan_does_not_hide_the_one_before(project, point):
    project.write(PROJECT)
    failed = project.sqb("build", env={"FAIL": "1"})
    killed = project.sqb("build", env={"SQB_FAILPOINT": point})
    assert (failed.code, killed.code) == (1, -signal.SIGKILL)
    resumed = project.sqb("retry", "--json")
    assert resumed.code == 0, resumed.everything
    assert {result["name"] for result in resumed.json["results"]} == {"export", "report"}


def test_a_run_without_a_plan_alone_cannot_be_gone_on_with(project):
    project.write(PROJECT)
    project.sqb("build", env={"SQB_FAILPOINT": "journal.begun:kill"})
    refused = project.sqb("retry")
    assert refused.code == 2
    assert "ended before it had planned anything" in refused.err


def test_journals_of_killed_runs_are_kept_as_long_as_those_of_others(project):
    project.write(PROJECT | {"sqlbuild_project.toml": 'name = "shop"\n[settings]\nkeep_runs = 2\n'})
    for _ in range(2):
        project.sqb("build", "first", env={"SQB_FAILPOINT": "node.recorded:kill"})
    killed = {path.name for path in project.root.glob("target/runs/*")}
    for _ in range(3):
        project.build("first")
    kept = {path.name for path in project.root.glob("target/runs/*")}
    assert (len(killed), len(kept), killed & kept) == (2, 3, set())


def test_changed_code_runs_again_with_all_that_depends_on_it(project):
    project.write(PROJECT)
    project.sqb("build", env={"FAIL": "1"})
    project.write({"models/orders.sql": PROJECT["models/orders.sql"].replace("* 2", "* 3")})
    resumed = project.sqb("retry")
    assert resumed.code == 0, resumed.everything
    assert "changed since it succeeded" in resumed.out
    assert project.rows("SELECT total FROM totals") == [(135,)]
    assert calls(project).count("first") == 1


def test_changed_code_runs_again_even_if_going_on_is_killed_too(project):
    project.write(PROJECT)
    project.sqb("build", env={"FAIL": "1"})
    project.write({"models/orders.sql": PROJECT["models/orders.sql"].replace("* 2", "* 3")})
    killed = project.sqb("retry", env={"SQB_FAILPOINT": "node.recorded:kill@1"})
    assert killed.code == -signal.SIGKILL, killed.everything
    resumed = project.sqb("retry")
    assert resumed.code == 0, resumed.everything
    assert project.rows("SELECT total FROM totals") == [(135,)]
    assert calls(project).count("first") == 1


def test_a_node_that_was_removed_is_told_and_left_out(project):
    project.write(PROJECT)
    project.sqb("build", env={"FAIL": "1"})
    text = PROJECT["python/nodes.py"]
    project.write({"python/nodes.py": text[: text.index("@asset(depends_on=export)")]})
    resumed = project.sqb("retry")
    assert resumed.code == 0, resumed.everything
    assert "report was part of the run and is not in the project any more" in resumed.out


def test_selection_vars_and_target_come_from_the_run(project):
    project.write(PROJECT)
    project.sqb("build", "+export", "--vars", '{"day": 1}', env={"FAIL": "1"})
    assert project.sqb("build", "--resume", "export").code == 2
    other_vars = project.sqb("retry", "--vars", '{"day": 2}')
    assert (other_vars.code, "had other vars" in other_vars.err) == (2, True)
    resumed = project.sqb("retry")
    assert resumed.code == 0, resumed.everything
    assert "report" not in calls(project)
    assert journal_of(project).request["vars"] == {"day": 1}


def test_a_later_run_of_the_same_nodes_is_named_and_may_be_overruled(project):
    project.write(PROJECT)
    project.sqb("build", env={"FAIL": "1"})
    old = journal_of(project).run_id
    project.build("first", "--only")
    refused = project.sqb("retry", "--run", old)
    assert refused.code == 2
    assert "came after run" in refused.err
    assert project.sqb("retry", "--run", old, "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("retry",), "nothing to go on with"),
        (("retry", "--run", "20990101T000000Z-abcdef"), "there is no journal of a run"),
        (("retry", "--run", "../.."), "there is no journal of a run"),
        (("build", "--force"), "--force goes with --resume"),
        (("build", "--resume", "--dry-run"), "give no selectors"),
    ],
)
def test_what_cannot_be_gone_on_with_is_said(project, arguments, says):
    project.write(PROJECT)
    project.build()
    refused = project.sqb(*arguments)
    assert refused.code == 2, refused.everything
    assert says in refused.err


def test_checkpoints_and_attempts_are_those_of_the_run(project):
    project.write(
        {
            "tasks/t.py": """
                import os, signal
                from sqlbuild.tasks import task

                @task
                async def push(ctx):
                    kept = dict(ctx.checkpoints)
                    ctx.checkpoint("row", ctx.attempt)
                    if not kept:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return {"kept": kept, "attempt": ctx.attempt}
                """
        }
    )
    assert project.sqb("build").code == -signal.SIGKILL
    resumed = project.sqb("retry", "--json")
    assert resumed.code == 0, resumed.everything
    (result,) = resumed.json["results"]
    assert result["payload"] == {"kept": {"row": 1}, "attempt": 2}


def test_runs_in_memory_leave_each_other_alone(project):
    project.write({"sqlbuild_project.toml": 'name = "shop"\n[connections.local]\ndatabase = ":memory:"\n'})
    project.write({"tasks/t.py": "from sqlbuild.tasks import task\n@task\ndef a(ctx): ...\n"})
    killed = project.sqb("build", env={"SQB_FAILPOINT": "node.recorded:kill"})
    assert killed.code == -signal.SIGKILL
    again = project.build()
    assert "had ended without a word" not in again.everything
