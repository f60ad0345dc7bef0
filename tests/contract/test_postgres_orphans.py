"""Who opens a PostgreSQL target for writing ends what others still have at work in it, and nothing else."""

from __future__ import annotations

from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest

from sqlbuild.domain.settings import Connection
from sqlbuild.errors import TargetLocked, WarehouseError
from sqlbuild.warehouses.postgres import PostgresWarehouse

SLEEP = "SELECT 1 AS a FROM pg_sleep(600)"


@pytest.fixture
def database(postgres_url):
    return urlsplit(postgres_url).path.strip("/")


@pytest.fixture
async def open_target(postgres_url):
    """Warehouses that are opened as those of a target, by its schema."""
    opened = []

    async def open_it(schema="dev", *, read_only=False, **options):
        connection = Connection(name="c", adapter="postgres", options={"dsn": postgres_url, **options})
        warehouse = PostgresWarehouse(connection, schema)
        await warehouse.open(read_only=read_only)
        opened.append(warehouse)
        return warehouse

    yield open_it
    for warehouse in opened:
        await warehouse.close()


async def one(warehouse, sql, *parameters):
    connection = warehouse.connect()
    try:
        return (await (await connection.query(sql, parameters)).fetch())[0][0]
    finally:
        await connection.close()


async def until_one_sleeps(warehouse, count=1):
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT 1 AS a%'"
    while await one(warehouse, sleeping) < count:
        await anyio.sleep(0.01)


async def test_what_was_at_work_in_the_target_is_ended_for_good(open_target):
    async def is_ended():
        with pytest.raises(WarehouseError, match="terminating connection") as raised:
            await orphan.connect().execute(SLEEP)
        assert raised.value.transient

    orphan = await open_target()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(is_ended)
        await until_one_sleeps(orphan)
        await open_target()


async def test_other_targets_and_readers_are_left_alone(open_target):
    others = [await open_target("prod"), await open_target(read_only=True)]
    asking = await open_target("test")
    async with anyio.create_task_group() as tasks:
        for other in others:
            tasks.start_soon(other.connect().execute, SLEEP)
        await until_one_sleeps(asking, 2)
        await open_target()
        await until_one_sleeps(asking, 2)
        tasks.cancel_scope.cancel()


@pytest.fixture
def notices_death(postgres_server):
    if int(postgres_server.version.partition(".")[0]) < 14:
        pytest.skip("older servers cannot be told to look whether their client is there")


async def test_every_session_that_writes_is_found_also_after_its_reset(open_target, notices_death):
    warehouse = await open_target()
    connections = [warehouse.connect() for _ in range(3)]
    for turn in range(2):
        for connection in connections:
            await connection.execute("SET client_connection_check_interval = '1h'; SELECT pg_advisory_unlock_all()")
        for connection in connections:
            await connection.close()
        connections = [warehouse.connect() for _ in range(3)]
        shared = [await connection.query(SHARED) for connection in connections]
        assert [await found.fetch() for found in shared] == [[(1, "1s")]] * 3, turn


SHARED = """
SELECT count(*), current_setting('client_connection_check_interval')
FROM pg_locks
WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND mode = 'ShareLock'
"""


@pytest.mark.parametrize("options", [{"settings": {"client_connection_check_interval": "7s"}}], ids=["settings"])
async def test_an_interval_of_the_users_own_stays(open_target, notices_death, options):
    warehouse = await open_target(**options)
    for _ in range(2):
        assert await one(warehouse, "SELECT current_setting('client_connection_check_interval')") == "7s"


async def test_what_a_role_may_not_end_is_named_and_waited_for(open_target, postgres_server, database):
    orphan = await open_target(application_name="nightly")
    with postgres_server.new_role() as role:
        dsn = postgres_server.dsn(database, user=role)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(orphan.connect().execute, SLEEP)
            await until_one_sleeps(orphan)
            with pytest.raises(TargetLocked) as raised:
                await open_target(dsn=dsn)
            assert "still go on in the target: pid " in raised.value.args[0]
            assert "(nightly, role postgres" in raised.value.args[0]
            assert "pg_terminate_backend(" in raised.value.help
            tasks.cancel_scope.cancel()
        await orphan.close()
        await (await open_target(dsn=dsn)).close()
