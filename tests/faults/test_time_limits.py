"""Fault 15: a time limit really ends what it bounds."""

from __future__ import annotations

import json
import time

import pytest
from faulty_places import on_postgres

from sqlbuild.state.journal import read_journal

ENDLESS_ON_A_SERVER = (
    "SELECT count(*) AS n FROM generate_series(1, 1000000) AS a (n), generate_series(1, 1000000) AS b (n) "
    "WHERE (a.n + b.n) % 7 = 3"
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_nodes_sql_and_processes_end_at_their_limit(faulty, backend):
    faulty.write(
        {
            "tasks/t.py": """
                import pathlib, time
                import anyio
                from sqlbuild.tasks import task

                @task(timeout=1)
                async def waits(ctx):
                    try:
                        await anyio.sleep(3600)
                    finally:
                        pathlib.Path("cleaned").touch()

                @task(timeout=1)
                async def asks(ctx):
                    await ctx.query("SELECT count(*) FROM range(1000000) a, range(1000000) b").scalar()

                @task(timeout=1, isolate="process")
                def asks_from_afar(ctx):
                    ctx.query("SELECT count(*) FROM range(1000000) a, range(1000000) b").scalar()

                @task(timeout=1, isolate="process")
                def computes(ctx):
                    while True:
                        pass

                @task(isolate="process", timeout=60)
                def in_time(ctx):
                    return 1
            """,
            "models/slow.sql": """
                MODEL (materialized table, timeout 1);
                SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3
            """,
        }
    )
    finished = faulty.sqb("build", "--backend", backend, timeout=60)
    assert finished.exit_code == 1, finished.output
    statuses = faulty.statuses()
    assert statuses.pop("in_time") == "succeeded"
    assert set(statuses.values()) == {"timed_out"}
    assert faulty.result("waits")["duration"] < 5
    assert (faulty.root / "cleaned").exists()


def timed_out(faulty) -> int:
    """How many nodes of a run that goes on have come to their limit."""
    (journal,) = (faulty.root / "target/runs").glob("*/journal.jsonl")
    records = map(json.loads, read_journal(str(journal)).records.values())
    return sum(record["status"] == "timed_out" for record in records)


@on_postgres
@pytest.mark.parametrize("backend", ["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def test_at_its_limit_the_server_has_stopped_too_while_the_run_goes_on(faulty, backend):
    faulty.write(
        {
            "models/slow.sql": f"MODEL (materialized table, timeout 1);\n{ENDLESS_ON_A_SERVER}\n",
            "models/sleepy.sql": "MODEL (materialized table, timeout 1);\nSELECT 1 AS n FROM pg_sleep(600)\n",
            "tasks/t.py": f"""
                import pathlib
                import anyio
                from sqlbuild.tasks import task

                @task(timeout=1)
                async def asks(ctx):
                    await ctx.query("{ENDLESS_ON_A_SERVER}").scalar()

                @task(timeout=1)
                async def reads(ctx):
                    async for _ in ctx.query("SELECT b.n FROM ({ENDLESS_ON_A_SERVER}) AS b").batches(10):
                        pass

                @task(timeout=1)
                async def exports(ctx):
                    await ctx.export("{ENDLESS_ON_A_SERVER}", "exports/a.csv")

                @task(timeout=1, isolate="process")
                def asks_from_afar(ctx):
                    ctx.query("{ENDLESS_ON_A_SERVER}").scalar()

                @task
                async def goes_on(ctx):
                    while not pathlib.Path("release").exists():
                        await anyio.sleep(0.01)
            """,
        }
    )
    process = faulty.start("build", "--backend", backend)
    try:
        working = "state = 'active' AND (query LIKE '%generate_series%' OR query LIKE '%pg_sleep%')"
        faulty.place.wait_for(working)
        while timed_out(faulty) < 6:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        assert faulty.place.sessions(working) == []
        (faulty.root / "release").touch()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1, out + err
    finally:
        process.kill()
        process.communicate()
    statuses = faulty.statuses()
    assert statuses.pop("goes_on") == "succeeded"
    assert (set(statuses.values()), len(statuses)) == ({"timed_out"}, 6)
    assert faulty.place.rows("SELECT to_regclass('slow'), to_regclass('sleepy')") == [(None, None)]


def test_a_limit_on_a_plain_function_is_refused_before_anything_runs(faulty):
    faulty.write({"tasks/t.py": "from sqlbuild.tasks import task\n\n@task(timeout=1)\ndef node(ctx): ...\n"})
    finished = faulty.sqb("build")
    assert finished.exit_code == 2
    assert 'isolate="process"' in finished.output
    assert "async def" in finished.output


def test_only_a_function_gets_a_process_of_its_own(faulty):
    source = 'from sqlbuild.tasks import task\n\n@task(isolate="process")\nasync def node(ctx): ...\n'
    faulty.write({"tasks/t.py": source})
    finished = faulty.sqb("build")
    assert finished.exit_code == 2
    assert "tasks/t.py:3" in finished.output
    assert "event loop" in finished.output


def test_a_limit_is_retried_if_the_policy_covers_it_and_the_late_attempt_cannot_publish(faulty):
    faulty.write(
        {
            "tasks/t.py": """
                import pathlib, time
                from sqlbuild.retries import RetryPolicy
                from sqlbuild.tasks import task

                @task(isolate="process", timeout=1,
                      retry=RetryPolicy(max_attempts=2, retry_on=TimeoutError, initial_delay_seconds=0))
                def slow_at_first(ctx):
                    if ctx.attempt == 1:
                        try:
                            time.sleep(3600)
                        except BaseException:
                            pass
                        return "late"
                    return "in time"
            """
        }
    )
    faulty.build()
    result = faulty.result("slow_at_first")
    assert (result["payload"], result["attempt"]) == ("in time", 2)
    assert [error["type"] for error in result["retried"]] == ["NodeTimeout"]


def test_the_start_of_a_worker_does_not_count(faulty):
    faulty.write(
        {
            "tasks/t.py": """
                import os, time
                from sqlbuild.tasks import task

                if os.environ.get("SLOW_IMPORT"):
                    time.sleep(1.5)

                @task(isolate="process", timeout=1)
                def quick(ctx):
                    return 1
            """
        }
    )
    faulty.environ["SLOW_IMPORT"] = "yes"
    begun = time.monotonic()
    faulty.build()
    assert time.monotonic() - begun > 3, "the file was imported twice"
