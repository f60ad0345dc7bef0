"""Faults 3, 5, 12 and 32: what is known of a run whose end nobody saw, and what going on with it does and does not do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from faulty_places import PostgresPlace, on_both_slowly

from sqlbuild.state.journal import read_journal

PROJECT = {
    "models/totals.sql": "MODEL (materialized table);\nSELECT n FROM generate_series(1, 10) AS made (n)\n",
    "python/nodes.py": """
        from sqlbuild.assets import asset
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        @task
        async def first(ctx):
            return 1

        @asset(depends_on=(model("totals"), first))
        async def published(ctx):
            with open("keys.txt", "a") as keys:
                keys.write(f"{ctx.attempt} {ctx.idempotency_key}\\n")
            return (await ctx.export(model("totals"), "exports/totals.csv")).rows

        @task(depends_on=published)
        async def last(ctx):
            return ctx.result_of(published).payload
    """,
}


def kill(faulty, point: str, *arguments: str) -> None:
    faulty.environ["SQB_FAILPOINT"] = f"{point.partition('@')[0]}:kill@{point.partition('@')[2] or 1}"
    finished = faulty.sqb("build", *arguments)
    assert finished.exit_code == -signal.SIGKILL, finished.output
    del faulty.environ["SQB_FAILPOINT"]


def assert_never_built(faulty):
    """The target `prod`."""
    assert not (faulty.root / "two.duckdb").exists()
    if isinstance(faulty.place, PostgresPlace):
        assert faulty.place.rows("SELECT to_regnamespace('prod') IS NULL") == [(True,)]


def journal_path(faulty):
    (path,) = (faulty.root / "target/runs").glob("*/journal.jsonl")
    return path


@on_both_slowly
@pytest.mark.parametrize("point", ["export.renamed", "node.returned@3"])
def test_a_node_that_returned_unseen_is_unknown_and_runs_again_with_the_same_key(faulty, point):
    """Fault 3. Not before the third node can it be the export that returned."""
    faulty.write(PROJECT)
    kill(faulty, point)
    assert "asset:published" in read_journal(str(journal_path(faulty))).unknown
    file = (faulty.root / "exports/totals.csv").read_text()
    resumed = faulty.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert "asset published  began and was not seen to end" in resumed.stdout
    first, second = (faulty.root / "keys.txt").read_text().splitlines()
    assert (first[:2], second[:2]) == ("1 ", "2 ")
    assert first[2:] == second[2:] != ""
    assert (faulty.root / "exports/totals.csv").read_text() == file
    assert faulty.result("last")["payload"] == 10


@on_both_slowly
def test_a_torn_record_is_told_once_and_its_node_runs_again(faulty):
    """Fault 5."""
    faulty.write(PROJECT)
    kill(faulty, "node.recorded@2")
    path = journal_path(faulty)
    path.write_bytes(path.read_bytes()[:-7])
    assert read_journal(str(path)).dropped_bytes
    resumed = faulty.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert "is torn" in resumed.output
    assert "is torn" not in faulty.sqb("build").output
    assert read_journal(str(path)).dropped_bytes == 0


def test_a_damaged_journal_is_named_with_the_place_and_never_taken_for_a_fresh_start(faulty):
    """Fault 5."""
    faulty.write(PROJECT)
    kill(faulty, "node.recorded@2")
    path = journal_path(faulty)
    content = bytearray(path.read_bytes())
    offset = content.index(b"\n") + 1
    content[offset + 40] ^= 1
    path.write_bytes(content)
    refused = faulty.sqb("retry")
    assert refused.exit_code == 2, refused.output
    assert f"the run journal {path} is damaged at byte {offset}" in refused.stderr
    built = faulty.sqb("build")
    assert built.exit_code == 0, built.output
    assert f"is damaged at byte {offset}" in built.stdout
    assert path.read_bytes() == bytes(content), "it is left for whoever looks at it"


@on_both_slowly
def test_another_target_is_never_gone_on_with(two_targets):
    """Fault 32."""
    faulty = two_targets.write(PROJECT)
    kill(faulty, "node.recorded@1")
    refused = faulty.sqb("retry", "--target", "prod")
    assert (refused.exit_code, "no run on target prod" in refused.stderr) == (2, True)
    run_id = read_journal(str(journal_path(faulty))).run_id
    refused = faulty.sqb("retry", "--run", run_id, "--target", "prod")
    assert (refused.exit_code, "was on target dev, not prod" in refused.stderr) == (2, True)
    assert_never_built(faulty)
    built = faulty.sqb("build", "--target", "prod")
    assert built.exit_code == 0, built.output
    assert "had ended without a word" not in built.output, "it is for the next command on its own target"
    assert len(faulty.statuses()) == 4
    resumed = faulty.sqb("retry", "--target", "dev")
    assert resumed.exit_code == 0, resumed.output


@on_both_slowly
def test_changed_code_runs_again_and_the_third_attempt_to_go_on_is_as_good_as_the_first(faulty):
    """Fault 32."""
    faulty.write(PROJECT)
    kill(faulty, "node.started@3")
    broken = PROJECT["python/nodes.py"].replace(
        "return ctx.result_of", "raise ValueError(1)\n            return ctx.result_of"
    )
    faulty.write({"python/nodes.py": broken})
    for _ in range(3):
        failed = faulty.sqb("retry")
        assert failed.exit_code == 1, failed.output
    assert "keep what they did" in failed.stdout
    changed = PROJECT["python/nodes.py"].replace("return 1", "return 2")
    faulty.write({"python/nodes.py": changed})
    resumed = faulty.sqb("retry", "--json")
    assert resumed.exit_code == 0, resumed.output
    assert {result["name"] for result in resumed.json["results"]} == {"first", "published", "last"}
    (run,) = (faulty.root / "target/runs").iterdir()
    assert faulty.query("SELECT DISTINCT run_id FROM _sqlbuild_node_results") == [(run.name,)]


@pytest.mark.parametrize("flag", [(), ("--events",), ("--verbose",)], ids=" ".join)
def test_a_reader_that_leaves_neither_stops_nor_hangs_the_run(faulty, flag):
    """Fault 12."""
    faulty.write(
        {
            "tasks/t.py": """
                from sqlbuild.tasks import task

                for index in range(300):
                    @task(name=f"says_{index}")
                    async def says(ctx, index=index):
                        print("x" * 500)
            """
        }
    )
    script = f'"$0" -m sqlbuild build {" ".join(flag)} | head -1; echo "${{PIPESTATUS[0]}}"'
    ended = subprocess.run(
        ["bash", "-c", script, sys.executable],
        cwd=faulty.root,
        env=faulty.environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.stdout.splitlines()[-1] == "0", ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert set(faulty.statuses().values()) == {"succeeded"}
    journal = read_journal(str(journal_path(faulty)))
    assert (journal.ended_with, len(journal.records)) == (0, 300)
    assert json.loads(next(iter(journal.records.values())))["status"] == "succeeded"
