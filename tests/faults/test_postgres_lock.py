"""Builds of one PostgreSQL target whose lock is lost in the middle: its session is ended, the server goes down."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from sqlbuild.warehouses.postgres_lock import key_of

SETTINGS = """
    name = "faulty"
    adapter = "postgres"
    [connections.server]
    dsn = "${ENV:FAULTY_DSN}"
    [targets.dev]
    schema = "dev"
"""
NODES = """
    import pathlib, time
    from sqlbuild.tasks import task

    @task
    async def hold(ctx):
        import anyio
        pathlib.Path("held").touch()
        while not pathlib.Path("release").exists():
            await anyio.sleep(0.01)

    @task(depends_on=hold)
    def after(ctx):
        pathlib.Path("after").touch()
"""
SESSION = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
"""Whose session holds the target; others share an advisory lock of two numbers."""
ELSEWHERE = """
import asyncio, asyncpg, sys
async def main():
    raw = await asyncpg.connect(sys.argv[1])
    await raw.execute("SELECT pg_advisory_lock(" + sys.argv[2] + ")")
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


@pytest.fixture
def held(faulty, postgres_url):
    """A build in the middle of a node, until `release` is there."""
    faulty.environ["FAULTY_DSN"] = postgres_url
    faulty.write({"sqlbuild_project.toml": SETTINGS, "tasks/t.py": NODES})
    started = []

    def start(backend="asyncio"):
        started.append(faulty.start("build", "--backend", backend))
        faulty.wait_for(started[-1], "held")
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def soon(found):
    give_up_at = time.monotonic() + 30
    while not (seen := found()):
        assert time.monotonic() < give_up_at
    return seen


def test_a_run_whose_lock_session_was_ended_goes_on_and_says_so(faulty, held, on_server):
    build = held()
    ((session,),) = on_server(SESSION)
    on_server(f"SELECT pg_terminate_backend({session})")
    soon(lambda: [row for row in on_server(SESSION) if row != [session]])
    assert faulty.sqb("build", "--lock-timeout", "0").exit_code == 3
    (faulty.root / "release").touch()
    out, err = build.communicate(timeout=60)
    assert build.returncode == 0, out + err
    assert "the connection that held target dev was lost; it is held again" in out
    assert on_server(SESSION) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_whose_target_somebody_else_has_got_stops_and_can_be_gone_on_with(
    faulty, held, on_server, postgres_url, backend
):
    build = held(backend)
    command = [sys.executable, "-c", ELSEWHERE, postgres_url, str(key_of("dev"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        try:
            soon(
                lambda: on_server("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND NOT granted")
            )
            ((session,),) = on_server(SESSION)
            on_server(f"SELECT pg_terminate_backend({session})")
            out, err = build.communicate(timeout=60)
        finally:
            other.kill()
    assert build.returncode == 5, out + err
    assert "the connection that held target dev was lost, and somebody else was faster: " in err
    assert not (faulty.root / "after").exists()
    (faulty.root / "release").touch()
    retried = faulty.sqb("retry")
    assert retried.exit_code == 0, retried.output
    assert (faulty.root / "after").exists()


def test_a_waiting_build_takes_over_from_one_that_is_killed(faulty, held, on_server):
    build = held()
    waiting = faulty.start("build")
    first = waiting.stdout.readline()
    assert first.startswith("waiting up to 60 s: target dev is held by run "), first
    assert f"(pid {build.pid} on " in first
    (faulty.root / "release").touch()
    build.kill()
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert on_server(SESSION) == []


def test_a_run_holds_its_target_again_when_the_server_is_back(faulty, held, postgres_server, on_server):
    build = held()
    postgres_server.restart(immediate=True)
    soon(lambda: on_server(SESSION))
    (faulty.root / "release").touch()
    out, err = build.communicate(timeout=60)
    assert build.returncode == 0, out + err
    assert "it is held again" in out
    assert (faulty.root / "after").exists()
