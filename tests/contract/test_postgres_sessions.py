"""What is left in a session of PostgreSQL when its connection goes on to the next node: nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest

from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import Extent

SEEN = "SELECT current_setting('search_path'), pg_backend_pid(), to_regclass('mine') IS NULL"
TAINTING = "CREATE FUNCTION dev.tainting() RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', 'nowhere', false) $$"


@pytest.fixture
def place() -> str:
    return "postgres"


@pytest.fixture
def last_statements(on_server):
    """What the sessions that wait were last asked for."""
    sql = (
        r"SELECT replace(query, E'\n', ' ') FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
    )

    async def seen() -> list[str]:
        return [text for (text,) in await anyio.to_thread.run_sync(on_server, sql)]

    return seen


async def read(connection, sql, parameters=None):
    return await (await connection.query(sql, parameters, extent=Extent.WHOLE)).fetch()


async def fail(connection):
    with pytest.raises(WarehouseError):
        await read(connection, "SELECT 1 / count(*) FROM generate_series(1, 0)")


async def be_late(connection):
    with anyio.move_on_after(0.05):
        await read(connection, "SELECT count(*) FROM generate_series(1, 10000000000)")


async def read_in_pages(connection):
    await (await connection.query("SELECT 1")).fetch()
    await read(connection, "SELECT 41 AS a")


async def test_after_queries_that_leave_nothing_there_is_no_reset(warehouse, last_statements):
    for sql, parameters in (("SELECT 41 AS a", None), ("SELECT count(*) FROM generate_series(1, ?)", [7])):
        connection = warehouse.connect()
        await read(connection, "SELECT 1")
        await read(connection, sql, parameters)
        await connection.close()
        assert sql.replace("?", "$1") in await last_statements()


@pytest.mark.parametrize("also", [fail, be_late, read_in_pages])
async def test_after_anything_else_there_is_one(warehouse, last_statements, also):
    connection = warehouse.connect()
    await read(connection, "SELECT 1")
    await also(connection)
    await connection.close()
    assert {"RESET ALL;" in text for text in await last_statements()} == {True}


TAINTED = {
    "a parameter": lambda connection: connection.execute("SET search_path = nowhere"),
    "a function of the server": lambda connection: read(
        connection, "SELECT set_config(?, 'nowhere', false)", ["search_path"]
    ),
    "a function": lambda connection: read(connection, "SELECT dev.tainting()"),
    "a cursor": lambda connection: connection.query("SELECT dev.tainting(), generate_series(1, 100000)"),
    "a temporary table": lambda connection: connection.execute("CREATE TEMP TABLE mine AS SELECT 1 AS a"),
    "many": lambda connection: connection.execute_together([("SET search_path = nowhere", None), ("SELECT 1", None)]),
}


async def test_the_next_one_finds_nothing_of_what_was_done(warehouse):
    ((path, process, _),) = await read(opening := warehouse.connect(), SEEN)
    await opening.execute(TAINTING)
    await opening.close()
    for what, taint in TAINTED.items():
        first = warehouse.connect()
        await read(first, "SELECT 1")
        await taint(first)
        await read(first, "SELECT 1")
        await first.close()
        second, third = warehouse.connect(), warehouse.connect()
        await read(second, "SELECT 1")
        found = [*await read(second, SEEN), *await read(third, SEEN)]
        assert {(each[0], each[2]) for each in found} == {(path, True)}, what
        assert process in {each[1] for each in found}
        await second.close()
        await third.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_asyncpgs_own_connection_the_next_one_finds_nothing(warehouse):
    first = warehouse.connect()
    ((path, process, _),) = await read(first, SEEN)
    await first.close()
    second = warehouse.connect()
    await second.raw.execute("SET search_path = nowhere")
    await second.close()
    assert await read(warehouse.connect(), SEEN) == [(path, process, True)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_statements_that_a_node_has_prepared_are_not_there_for_the_next_one(warehouse):
    for number in range(4):
        connection = warehouse.connect()
        await read(connection, "SELECT 1")
        if number % 2:
            await connection.execute("prepare mine AS SELECT 1")
        else:
            await connection.close()
            connection = warehouse.connect()
            await connection.raw.execute("PREPARE mine AS SELECT 1")
        await connection.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_node_has_made_of_asyncpgs_connection_nobody_else_gets(warehouse):
    opened = warehouse.connect()
    await opened.execute("SELECT 1")
    await opened.close()

    changing = warehouse.connect()
    raw = changing.raw
    await raw.set_type_codec("int4", schema="pg_catalog", encoder=str, decoder=lambda text: f"number {text}")
    queries = []
    raw.add_query_logger(queries.append)
    assert await raw.fetchval("SELECT 1") == "number 1"
    await changing.close()

    assert raw.is_closed()
    after = warehouse.connect()
    assert await read(after, "SELECT 1") == [(1,)]
    assert [record.query for record in queries if "SELECT 1" in record.query] == ["SELECT 1"]
    await after.close()


async def test_a_query_without_rows_leaves_no_lock_on_what_it_read(warehouse, postgres_server, postgres_url):
    connection = warehouse.connect()
    await connection.execute("CREATE TABLE dev.empty (a INTEGER)")
    await connection.close()
    connection = warehouse.connect()
    assert await read(connection, "SELECT a FROM dev.empty") == []
    await connection.close()
    held = "SELECT count(*) FROM pg_locks WHERE relation = 'dev.empty'::regclass"
    database = urlsplit(postgres_url).path.strip("/")
    assert await anyio.to_thread.run_sync(lambda: postgres_server.sql(held, database=database)) == [["0"]]
