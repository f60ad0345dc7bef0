"""`sqb history` on projects that were built, failed, killed, gone on with, and that are being built."""

from __future__ import annotations

import signal
import time

import pytest

PROJECT = {
    "models/orders.sql": "MODEL (materialized table);\nSELECT range AS id FROM range(10)\n",
    "sources/raw.yml": "sources:\n  - name: rows\n    managed: true\n",
    "loaders/rows.py": """
        from sqlbuild.loaders import loader

        @loader
        def rows(ctx):
            return [{"id": 1}, {"id": 2}]
        """,
    "python/nodes.py": """
        import os

        import anyio

        from sqlbuild.assets import asset
        from sqlbuild.refs import model, source
        from sqlbuild.tasks import task

        @task(depends_on=(model("orders"), source("rows")))
        async def first(ctx):
            open("began", "w").close()
            while os.path.exists("hold"):
                await anyio.sleep(0.02)
            return {"rows": 3}

        @asset(depends_on=(first, model("orders")))
        async def export(ctx):
            if os.environ.get("FAIL"):
                raise ValueError("not today")
            await ctx.export(model("orders"), "orders.csv")

        @task(depends_on=export)
        def report(ctx):
            return ctx.skip("nobody asked")
        """,
}


@pytest.fixture
def shop(project):
    return project.write(PROJECT)


@pytest.fixture
def being_built(shop):
    """The project with a build that goes on until the file `hold` is removed."""
    (shop.root / "hold").touch()
    process = shop.start("build", "-q")
    try:
        give_up_at = time.monotonic() + 60
        while not (shop.root / "began").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up_at
        yield process
    finally:
        (shop.root / "hold").unlink(missing_ok=True)
        process.communicate(timeout=60)


def history(shop, *args):
    told = shop.sqb("history", *args, "--json")
    assert (told.code, told.err) == (0, ""), told.everything
    return told.json


def test_runs_and_results_are_told_newest_first(shop):
    empty = shop.sqb("history")
    assert (empty.code, empty.out) == (0, "no run on target dev yet: `sqb build` makes the first one\n")
    assert shop.sqb("history", "first").out == "task:first has not run on target dev yet\n"
    assert not (shop.root / "target/runs").exists()
    shop.sqb("build", env={"FAIL": "1"})
    shop.build("export", "--only")
    newest, oldest = history(shop)["runs"]
    assert (newest["ended"], newest["command"], newest["counts"]) == (
        "succeeded",
        "sqb build export --only",
        {"succeeded": 1},
    )
    assert (oldest["ended"], oldest["exit_code"], oldest["can_be_resumed"]) == ("failed", 1, False)
    assert oldest["counts"] == {"succeeded": 3, "failed": 1, "blocked": 1}
    exported, failed = history(shop, "export")["results"]
    assert (exported["why"], failed["why"]) == (f"failed in run {oldest['run_id']}", "never built")
    assert [file["rows"] for file in exported["exports"]["files"]] == [10]
    text = shop.sqb("history", "asset:export").out
    assert "    exported 1 file, 10 rows: orders.csv\n" in text
    assert "    ValueError: not today (python/nodes.py:" in text
    assert "    2 rows\n" in shop.sqb("history", "rows").out
    assert [run["run_id"] for run in history(shop, "--limit", "1")["runs"]] == [newest["run_id"]]


def test_a_build_that_goes_on_is_told_and_not_waited_for(shop, being_built):
    table = shop.sqb("history")
    assert "running now: 2 of 5 nodes done, 1 at work" in table.out
    assert "is held by run" in table.err
    assert table.err.rstrip().endswith("told from the journals in target/runs")
    assert len(table.err.splitlines()) == 1
    document = history(shop, "first")
    assert (document["from_warehouse"], document["results"], document["at_work"]["attempt"]) == (False, [], 1)
    assert [done["status"] for done in history(shop, "orders")["results"]] == ["succeeded"]
    assert "running" in shop.sqb("history", "first").out
    assert being_built.poll() is None


def test_a_killed_run_can_be_resumed_and_is_one_run_afterwards(shop, being_built):
    being_built.send_signal(signal.SIGKILL)
    being_built.wait()
    (killed,) = history(shop)["runs"]
    assert (killed["ended"], killed["can_be_resumed"], killed["planned"]) == ("killed", True, 5)
    assert killed["counts"] == {"succeeded": 2, "unknown": 1}
    assert [found["status"] for found in history(shop, "first")["results"]] == ["unknown"]
    (shop.root / "hold").unlink()
    resumed = shop.sqb("retry")
    assert resumed.code == 0, resumed.everything
    (run,) = history(shop)["runs"]
    assert (run["run_id"], run["ended"], run["resumed"]) == (killed["run_id"], "succeeded", 1)
    assert run["counts"] == {"succeeded": 4, "skipped": 1}
    (result,) = history(shop, "first")["results"]
    assert (result["status"], result["attempt"]) == ("succeeded", 2)
    assert "succeeded, resumed once: 4 succeeded, 1 skipped" in shop.sqb("history").out


def test_a_damaged_journal_is_told_and_the_others_are_shown(shop):
    shop.build("first")
    killed = shop.sqb("build", env={"SQB_FAILPOINT": "node.recorded:kill@2"})
    assert killed.code == -signal.SIGKILL
    *_, journal = sorted((shop.root / "target/runs").glob("*/journal.jsonl"))
    content = bytearray(journal.read_bytes())
    content[content.index(b'"started"') + 2] ^= 1
    journal.write_bytes(content)
    told = shop.sqb("history")
    assert told.code == 0
    assert "damaged at byte" in told.err
    assert "succeeded: 3 succeeded" in told.out
    assert len(told.out.splitlines()) == 3
    newest = history(shop)["runs"][0]
    assert newest["run_id"] == journal.parent.name
    assert "damaged at byte" in newest["damage"]
    assert not newest["can_be_resumed"]
    assert "damaged at byte" in shop.sqb("history", "first").err


def test_without_its_database_the_journals_tell_what_they_know(shop):
    shop.build()
    shop.build("first")
    shop.build("first")
    (shop.root / "shop.duckdb").unlink()
    told = shop.sqb("history")
    assert told.err == "target dev has no database that could be read: told from the journals in target/runs\n"
    assert [line.split()[-1] for line in told.out.splitlines()[1:]] == ["first", "first", "build"]
    assert len(history(shop, "first")["results"]) == 3
    assert len(history(shop, "first", "--limit", "2")["results"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("firts",), "did you mean 'first'?"),
        (("*",), "names 6 nodes"),
        (("--limit", "0"), "--limit"),
        (("--target", "prod"), "there is no target `prod`"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(shop, arguments, said):
    refused = shop.sqb("history", *arguments)
    assert refused.code == 2
    assert said in refused.err


def test_a_project_that_does_not_compile_still_has_its_runs(shop):
    shop.build("first")
    shop.write({"models/broken.sql": "MODEL (materialized table);\nSELECT FROM WHERE\n"})
    assert [run["ended"] for run in history(shop)["runs"]] == ["succeeded"]
    assert shop.sqb("history", "first").code == 2
