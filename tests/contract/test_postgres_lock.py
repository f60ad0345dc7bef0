"""The lock of a PostgreSQL target: what the server sees of it, and what happens when its connection ends."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from sqlbuild.domain.settings import Connection
from sqlbuild.errors import WarehouseUnreachable
from sqlbuild.state.target_lock import process_mark
from sqlbuild.warehouses.postgres_lock import PostgresTargetLock, key_of

RUN = "20261123T020000Z-abc123"
PATIENCE_SECONDS = 20.0


@pytest.fixture
def make_lock(postgres_url):
    made = []

    def make(schema="dev", **options):
        connection = Connection(name="c", adapter="postgres", options={"dsn": postgres_url, **options})
        made.append(PostgresTargetLock(connection, schema, process_mark=process_mark))
        return made[-1]

    yield make
    for lock in made:
        lock.release()


@pytest.fixture
def lock(make_lock):
    """Held, by a run."""
    lock = make_lock()
    assert lock.take()
    lock.tell(command="sqb build", target="dev", run_id=RUN)
    return lock


@pytest.fixture
def losses(lock):
    """What the lock says when it is lost."""
    told = queue.Queue()
    lock.when_lost(told.put)
    return told


@pytest.fixture
def session(make_lock):
    """The server's process that holds the lock now."""

    def number():
        other = make_lock()
        assert other.is_held()
        return other.holder().session

    return number


@pytest.fixture
def silent_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def soon(found):
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < give_up_at
    return True


@pytest.mark.usefixtures("lock")
def test_a_run_may_hold_it_for_long_and_keeps_the_server_from_nothing(on_server, session):
    assert on_server(f"SELECT state, backend_xmin, backend_xid FROM pg_stat_activity WHERE pid = {session()}") == [
        ["idle in transaction", "", ""]
    ]


def test_limits_of_the_users_own_do_not_end_it(make_lock, on_server):
    lock = make_lock(settings={"idle_in_transaction_session_timeout": "50ms", "statement_timeout": "5s"})
    assert lock.take()
    on_server("SELECT pg_sleep(0.3)")
    assert not make_lock().take()


def test_it_needs_no_prepared_statements(make_lock):
    """As behind a pooler that gives each transaction another connection of the server."""
    lock, other = make_lock(prepared_statements=False), make_lock(prepared_statements=False)
    assert lock.take()
    lock.tell(command="sqb build", target="dev", run_id=RUN)
    assert not other.take()
    assert other.holder().run_id == RUN


def test_every_schema_and_every_database_has_its_own(lock, make_lock, postgres_server):
    assert not make_lock().take()
    assert make_lock("prod").take()
    with postgres_server.new_database() as other:
        elsewhere = make_lock(dsn=postgres_server.dsn(other))
        assert elsewhere.take()
        elsewhere.release()


def test_the_key_is_the_same_for_every_sqlbuild():
    """Else an older one and a newer one would build at the same time."""
    assert key_of("dev") == -5256221892656521771


def test_a_role_that_may_not_read_what_others_do_still_learns_who_it_is(lock, make_lock, postgres_server, postgres_url):
    with postgres_server.new_role() as role:
        database = urlsplit(postgres_url).path.strip("/")
        stranger = make_lock(dsn=postgres_server.dsn(database, user=role))
        assert stranger.is_held()
        said = stranger.holder()
        assert (said.pid, said.command, said.run_id) == (os.getpid(), "sqb build", RUN)
        assert os.uname().nodename.startswith(said.host)
        assert int(said.since) == 1795399200
        assert not stranger.is_running_here(said), "only the whole text tells it from a later process"
        lock.tell(command="sqb clean", target="dev")
        assert abs(stranger.holder().since - time.time()) < 60
        stranger.release()


def test_a_connection_that_was_ended_is_made_again_and_holds_it_before_anybody_else(
    lock, losses, make_lock, on_server, session
):
    before = session()
    on_server(f"SELECT pg_terminate_backend({before})")
    assert losses.get(timeout=PATIENCE_SECONDS) is True
    assert lock.is_held()
    assert session() != before
    assert make_lock().holder().run_id == RUN


def test_somebody_who_was_faster_has_it(lock, losses, postgres_server, on_server, session, postgres_url):
    key = key_of("dev")
    waiting = postgres_server.dsn(urlsplit(postgres_url).path.strip("/"))
    code = f"""
import asyncio, asyncpg
async def main():
    raw = await asyncpg.connect({waiting!r})
    await raw.execute("SELECT pg_advisory_lock({key})")
    await asyncio.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        try:
            soon(lambda: on_server("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
            on_server(f"SELECT pg_terminate_backend({session()})")
            assert losses.get(timeout=PATIENCE_SECONDS) is False
            assert lock.holder() is None, "whoever has it has not said who it is"
            assert lock.is_held()
            assert not lock.take()
            assert "pg_stat_activity WHERE pid = " in lock.advice(None)
        finally:
            other.kill()


def test_a_session_of_its_own_that_the_server_has_not_missed_yet_is_ended(lock, losses, on_server, session):
    """As when a router between them has forgotten the connection."""
    before = session()
    os.kill(before, signal.SIGSTOP)
    try:
        raw = lock._session._raw
        lock._session._loop.call_soon_threadsafe(raw._transport.abort)
        asked = "SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%pg_terminate_backend%'"
        soon(lambda: on_server(asked))
    finally:
        os.kill(before, signal.SIGCONT)
    assert losses.get(timeout=PATIENCE_SECONDS) is True
    assert session() != before


def test_a_server_that_was_restarted_gives_it_back(lock, losses, postgres_server, session):
    postgres_server.restart(immediate=True)
    assert losses.get(timeout=PATIENCE_SECONDS) is True
    assert session()


def test_it_can_be_given_back_while_the_server_is_down(lock, losses, postgres_server):
    postgres_server.stop(immediate=True)
    try:
        lock.tell(command="sqb build", target="dev")
        lock.release()
        with pytest.raises(WarehouseUnreachable):
            lock.is_held()
    finally:
        postgres_server.start()
    assert losses.empty()


def test_a_server_that_does_not_answer_is_given_up_in_time(silent_port):
    options = {"host": "127.0.0.1", "port": silent_port, "user": "nobody", "database": "nothing"}
    lock = PostgresTargetLock(
        Connection(name="c", adapter="postgres", options=options), "dev", process_mark=process_mark, patience=0.2
    )
    with pytest.raises(WarehouseUnreachable, match="does not answer"):
        lock.is_held()
    lock.release()
