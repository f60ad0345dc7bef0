"""Where the projects of the fault tests build: a DuckDB file beside them, or a database of their own on a server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import duckdb
import pytest

from postgres_server import PostgresServer

WAREHOUSES = ("duckdb", "postgres")
PATIENCE_SECONDS = 60.0

on_both = pytest.mark.parametrize("warehouse", WAREHOUSES)
on_both_slowly = pytest.mark.parametrize("warehouse", ["duckdb", pytest.param("postgres", marks=pytest.mark.slow)])
on_postgres = pytest.mark.parametrize("warehouse", ["postgres"])


HOLDING = """
import asyncio, sys
import asyncpg

async def main(dsn, statement):
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "tests"})
    async with connection.transaction():
        await connection.execute(statement)
        print(connection.get_server_pid(), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main(*sys.argv[1:]))
"""


class Place(Protocol):
    """One database, and what stands in the settings of a project that builds there."""

    schema: str
    """Of the default target; unqualified names are looked up there."""

    def settings(self, more: str = "") -> str:
        """The whole settings file, with further tables."""

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read it with the database's own library. `$1` stands for the first parameter."""


@dataclasses.dataclass(frozen=True)
class DuckDBPlace:
    root: Path
    schema = "main"

    def settings(self, more: str = "") -> str:
        return f'name = "faulty"\n{textwrap.dedent(more)}'

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.root / "faulty.duckdb"), read_only=True) as connection:
            return connection.execute(sql, parameters).fetchall()


@dataclasses.dataclass(frozen=True)
class PostgresPlace:
    server: PostgresServer
    database: str
    schema = "public"

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.database)

    def settings(self, more: str = "", *, options: str = "") -> str:
        """`options` are lines of the connection."""
        return "\n".join(
            (
                'name = "faulty"\ndefault_target = "dev"\n[connections.server]\nadapter = "postgres"',
                f"dsn = {json.dumps(self.dsn)}\n{textwrap.dedent(options)}",
                '[targets.dev]\nconnection = "server"\nschema = "public"',
                '[targets.prod]\nconnection = "server"\nschema = "prod"',
                textwrap.dedent(more),
            )
        )

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        async def found() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.dsn, server_settings={"application_name": "tests"})
            try:
                return [tuple(row) for row in await connection.fetch(sql, *parameters)]
            finally:
                await connection.close()

        return asyncio.run(found())

    def sessions(self, where: str = "true") -> list[int]:
        """Processes of the server that have this database open, but for the tests' own."""
        return [
            process
            for (process,) in self.rows(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
                f"AND application_name <> 'tests' AND ({where}) ORDER BY query_start"
            )
        ]

    def session_of(self, query: str) -> int:
        """Wait for a session that is at work on a statement like this, and return its process."""
        return self.wait_for(f"state = 'active' AND query LIKE '%{query}%'")[0]

    def wait_for(self, where: str) -> list[int]:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.sessions(where)):
            assert time.monotonic() < give_up_at, f"no session where {where}"
            time.sleep(0.01)
        return found

    def wait_until_none(self, where: str = "true", *, seconds: float = PATIENCE_SECONDS) -> None:
        give_up_at = time.monotonic() + seconds
        while found := self.sessions(where):
            assert time.monotonic() < give_up_at, f"sessions {found} go on"
            time.sleep(0.01)

    def end(self, session: int) -> None:
        self.rows("SELECT pg_terminate_backend($1)", session)

    @contextlib.contextmanager
    def held(self, statement: str) -> Iterator[int]:
        """Somebody else's transaction stays open behind this statement; the server's process that has it."""
        other = subprocess.Popen(
            [sys.executable, "-c", HOLDING, self.dsn, statement],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert other.stdout is not None
            yield int(other.stdout.readline())
        finally:
            other.communicate()
