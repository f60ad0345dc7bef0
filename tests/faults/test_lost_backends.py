"""Fault 9: a PostgreSQL server ends connections, or itself, in the middle of a run: only what used them is concerned."""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal

import pytest
from faulty_places import on_postgres

pytestmark = on_postgres

NODES = """
    import pathlib, time
    import anyio
    from sqlbuild.refs import model
    from sqlbuild.retries import RetryPolicy
    from sqlbuild.tasks import task

    def wait_for(name):
        while not pathlib.Path(name).exists():
            time.sleep(0.01)

    @task
    async def asks(ctx):
        await ctx.query("SELECT 1 AS asked FROM pg_sleep(600)").scalar()

    @task
    def asks_on_a_thread(ctx):
        ctx.query("SELECT 1 AS asked_on_a_thread FROM pg_sleep(600)").scalar()

    @task
    async def reads(ctx):
        rows = 0
        async for batch in ctx.query("SELECT n FROM generate_series(1, 20000) AS made (n)").batches(1_000):
            rows += batch.num_rows
            pathlib.Path("reading").touch()
            while not pathlib.Path("go").exists():
                await anyio.sleep(0.01)
        return rows

    for index in range(8):
        @task(name=f"later_{index}", depends_on=model("steady"))
        def later(ctx):
            wait_for("go")
            return ctx.query(f"SELECT count(*) FROM {ctx.relation(model('steady'))}").scalar()
"""
SLOW = "MODEL (materialized table);\nSELECT 1 AS id FROM pg_sleep(600)\n"
UNTIL_TOLD = "SELECT {attempt} AS attempt FROM patience, LATERAL pg_sleep(seconds)"


@pytest.fixture
def begun():
    """Start a build, and stop it whatever happens."""
    started = []

    def begin(faulty, *arguments):
        started.append(faulty.start("build", *arguments))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ended(process):
    out, err = process.communicate(timeout=100)
    said = out + err
    assert "Traceback" not in err, said
    assert "sqlbuild itself failed" not in err, said
    assert "current transaction is aborted" not in said
    return process.returncode, said


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_a_connection_was_used_for_fails_and_everybody_else_goes_on(faulty, begun, backend):
    faulty.write({"models/slow.sql": SLOW, "models/steady.sql": "SELECT 1 AS id", "python/nodes.py": NODES})
    process = begun(faulty, "--backend", backend, "--connections", "5")
    faulty.wait_for(process, "reading")
    for query in ("CREATE TABLE%pg_sleep", "asked FROM", "asked_on_a_thread"):
        faulty.place.end(faulty.place.session_of(query))
    (faulty.root / "go").touch()
    code, said = ended(process)
    assert code == 1, said
    statuses = faulty.statuses()
    failed = {name for name, status in statuses.items() if status == "failed"}
    assert failed == {"slow", "asks", "asks_on_a_thread"}, said
    assert {statuses[name] for name in statuses.keys() - failed} == {"succeeded"}
    assert faulty.result("reads")["payload"] == 20_000
    for name in failed:
        error = faulty.result(name)["error"]
        assert "terminating connection due to administrator command" in error["message"], error
    faulty.place.wait_until_none()


def test_a_policy_tries_it_again_on_a_new_connection(faulty, begun):
    faulty.place.rows("CREATE TABLE patience AS SELECT 600 AS seconds")
    faulty.write(
        {
            "models/slow.sql": "MODEL (materialized table, retry (max_attempts 2, initial_delay_seconds 0));\n"
            "SELECT 1 AS id FROM patience, LATERAL pg_sleep(seconds)\n",
            "python/nodes.py": """
                from sqlbuild.retries import RetryPolicy
                from sqlbuild.tasks import task

                @task(retry=RetryPolicy(2, initial_delay_seconds=0))
                async def asks(ctx):
                    seconds = 600 if ctx.attempt == 1 else 0
                    return await ctx.query(f"SELECT {ctx.attempt} AS asked FROM pg_sleep({seconds})").scalar()
            """,
        }
    )
    process = begun(faulty)
    sessions = [faulty.place.session_of("CREATE TABLE%pg_sleep"), faulty.place.session_of("asked FROM")]
    faulty.place.rows("UPDATE patience SET seconds = 0")
    for session in sessions:
        faulty.place.end(session)
    code, said = ended(process)
    assert code == 0, said
    assert faulty.result("asks")["payload"] == 2
    assert faulty.result("slow")["attempt"] == 2
    assert [error["type"] for error in faulty.result("slow")["retried"]] == ["WarehouseError"]


def test_a_batch_of_results_is_written_again_and_once(faulty, begun):
    faulty.write({"python/nodes.py": NODES[: NODES.index("    @task\n")] + LATER})
    faulty.build("first")
    with faulty.place.held("LOCK TABLE _sqlbuild_node_results IN SHARE MODE"):
        process = begun(faulty)
        faulty.place.end(faulty.place.session_of("INSERT INTO%_sqlbuild_node_results"))
        # The second attempt waits for the lock too.
        faulty.place.session_of("INSERT INTO%_sqlbuild_node_results")
    (faulty.root / "go").touch()
    code, said = ended(process)
    assert code == 0, said
    stored = "SELECT node_id, count(*) FROM _sqlbuild_node_results GROUP BY node_id ORDER BY node_id"
    assert faulty.place.rows(stored) == [("task:first", 2), ("task:second", 1)]


LATER = """
    @task
    def first(ctx): ...

    @task(depends_on=first)
    def second(ctx):
        wait_for("go")
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_restarted_server_fails_what_ran_and_whoever_comes_meanwhile_waits_for_it(
    faulty, begun, backend, postgres_server
):
    faulty.place.rows("CREATE TABLE patience AS SELECT 600 AS seconds")
    faulty.write(
        {
            "models/slow.sql": SLOW,
            "models/again.sql": "MODEL (materialized table, retry (max_attempts 2, initial_delay_seconds 0));\n"
            "SELECT 1 AS id FROM patience, LATERAL pg_sleep(seconds)\n",
            "models/steady.sql": "SELECT 1 AS id",
            "python/nodes.py": NODES[: NODES.index("    @task\n")]
            + """
    for index in range(3):
        @task(name=f"later_{index}", depends_on=model("steady"))
        async def later(ctx, index=index):
            while not pathlib.Path("go").exists():
                await anyio.sleep(0.01)
            pathlib.Path(f"asking_{index}").touch()
            return await ctx.query(f"SELECT count(*) FROM {ctx.relation(model('steady'))}").scalar()

    @task
    def last(ctx):
        wait_for("release")
            """,
        }
    )
    process = begun(faulty, "--backend", backend)
    faulty.place.session_of("SELECT 1 AS id FROM pg_sleep")
    faulty.place.session_of("SELECT 1 AS id FROM patience")
    faulty.place.rows("UPDATE patience SET seconds = 0")
    postgres_server.stop(immediate=True)
    try:
        (faulty.root / "go").touch()
        faulty.wait_for(process, "asking_0", "asking_1", "asking_2")
    finally:
        postgres_server.start()
    faulty.place.wait_for("application_name LIKE 'sqb build; %' AND state = 'idle in transaction'")
    (faulty.root / "release").touch()
    code, said = ended(process)
    assert code == 1, said
    statuses = faulty.statuses()
    assert statuses.pop("slow") == "failed"
    assert set(statuses.values()) == {"succeeded"}, said
    assert "the connection that held target dev was lost; it is held again" in said
    assert faulty.place.rows("SELECT count(DISTINCT node_id) FROM _sqlbuild_node_results") == [(7,)]


CANCEL_WRITING = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'COMMENT ON SCHEMA%'
"""


@pytest.fixture
def lose_the_answer(faulty, postgres_server):
    """End the connection of the next transaction that writes a marker when it was committed, before that is said; or do
    something else to it then."""

    def wait_for_a_standby(name):
        postgres_server.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        postgres_server.sql("SELECT pg_reload_conf()")

    def until_commits_wait():
        """Who commits hears of the setting from a process of the server that may be busy."""
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            while True:
                commit = thread.submit(faulty.place.rows, "COMMENT ON SCHEMA public IS 'written'")
                while not commit.done():
                    if faulty.place.rows(CANCEL_WRITING):
                        return

    def lose_it(go, lose=faulty.place.end):
        with faulty.place.held("LOCK TABLE _sqlbuild_commits IN SHARE MODE"):
            go()
            session = faulty.place.session_of("INSERT INTO%_sqlbuild_commits")
            wait_for_a_standby("nobody")
            until_commits_wait()
        try:
            faulty.place.wait_for(f"pid = {session} AND wait_event = 'SyncRep'")
            lose(session)
        finally:
            wait_for_a_standby("")

    yield lose_it
    wait_for_a_standby("")


LOADED_AND_BUILT = {
    "sources/raw.yml": "sources:\n  - {name: raw_events, managed: true, write_strategy: append}\n",
    "models/events.sql": "MODEL (materialized table);\n"
    'SELECT id, random() AS made FROM __source("raw_events") WHERE NOT EXISTS (SELECT FROM gate)\n',
    "python/nodes.py": """
        import pathlib, time
        from sqlbuild.loaders import loader
        from sqlbuild.retries import RetryPolicy
        from sqlbuild.tasks import task

        @task
        def first(ctx): ...

        @loader(retry=RetryPolicy(3, initial_delay_seconds=0))
        def raw_events(ctx):
            pathlib.Path("begun").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
            return [{"id": n} for n in range(100)]
    """,
}


@pytest.fixture
def first_built(faulty):
    faulty.write(LOADED_AND_BUILT)
    faulty.place.rows("CREATE TABLE gate ()")
    faulty.build("first")
    return faulty


@pytest.mark.parametrize("backend", ["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def test_what_was_committed_counts_also_if_the_answer_is_lost(first_built, begun, backend, lose_the_answer):
    faulty = first_built
    process = begun(faulty, "--backend", backend)
    faulty.wait_for(process, "begun")
    with contextlib.ExitStack() as gate:
        gate.enter_context(faulty.place.held("LOCK TABLE gate"))
        lose_the_answer((faulty.root / "go").touch)
        lose_the_answer(gate.close)
    code, said = ended(process)
    assert code == 0, said
    assert "attempt" not in said
    assert faulty.place.rows("SELECT count(*), count(DISTINCT id) FROM raw_events") == [(100, 100)]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("node", ["raw_events", "events"])
def test_what_was_committed_counts_also_if_a_signal_comes_before_the_answer(
    first_built, begun, node, backend, lose_the_answer
):
    faulty = first_built
    process = begun(faulty, "--backend", backend)
    faulty.wait_for(process, "begun")

    def stop(_session):
        process.send_signal(signal.SIGTERM)
        while "stopping (SIGTERM)" not in (line := process.stdout.readline()):
            assert line, "the run says that it stops"

    with contextlib.ExitStack() as gate:
        gate.enter_context(faulty.place.held("LOCK TABLE gate"))
        if node == "raw_events":
            lose_the_answer((faulty.root / "go").touch, stop)
        else:
            (faulty.root / "go").touch()
            faulty.place.wait_for("wait_event_type = 'Lock'")
            lose_the_answer(gate.close, stop)
    code, said = ended(process)
    assert code == 143, said
    assert faulty.statuses()[node] == "succeeded"
    retried = faulty.sqb("retry", "--backend", backend)
    assert retried.exit_code == 0 or "build again" in retried.output, retried.output
    assert faulty.place.rows("SELECT count(*), count(DISTINCT id) FROM raw_events") == [(100, 100)]
    assert faulty.place.rows("SELECT count(*) FROM events") == [(100,)]
