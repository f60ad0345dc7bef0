"""What is PostgreSQL's own: what the server sees of us, connections that it ends, time limits, and how it is reached."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.settings import Connection
from sqlbuild.errors import WarehouseError, WarehouseUnreachable
from sqlbuild.warehouses.postgres import PostgresWarehouse

ORDERS = Relation("", "dev", "orders")
SLEEP = "SELECT 1 AS a FROM pg_sleep(600)"
LARGE = "SELECT n FROM generate_series(1, 100000) AS t(n)"


@pytest.fixture
def database(postgres_url) -> str:
    return urlsplit(postgres_url).path.strip("/")


@pytest.fixture
def place() -> str:
    return "postgres"


@pytest.fixture
def on_server(on_server):
    """The same without keeping the event loop."""

    async def run(sql: str) -> list[list[str]]:
        return await anyio.to_thread.run_sync(on_server, sql)

    return run


@pytest.fixture
def activity(on_server):
    """State and process of each connection to the test's database, but for the one that asks."""

    async def seen() -> list[tuple[str, int]]:
        found = await on_server(
            "SELECT state, pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend' ORDER BY pid"
        )
        return [(state, int(process)) for state, process in found]

    return seen


@pytest.fixture
def working(activity):
    """Wait until so many connections are at work, and return their processes."""

    async def wait(count: int = 1) -> list[int]:
        while True:
            processes = [process for state, process in await activity() if state == "active"]
            if len(processes) == count:
                return processes
            await anyio.sleep(0.01)

    return wait


@pytest.fixture
def unreachable(postgres_url):
    """How opening a warehouse with these options fails."""

    async def raised(**options: object) -> WarehouseUnreachable:
        given = {"dsn": postgres_url, "connect_timeout": 10, **options}
        warehouse = PostgresWarehouse(Connection(name="local", adapter="postgres", options=given))
        with pytest.raises(WarehouseUnreachable) as error:
            await warehouse.open()
        return error.value

    return raised


async def rows(connection, sql, parameters=None):
    return await (await connection.query(sql, parameters)).fetch()


async def process_of(connection):
    return (await rows(connection, "SELECT pg_backend_pid()"))[0][0]


# -- cancellation -----------------------------------------------------------------------------------------------------


async def read_on(warehouse, connection):
    slow_after_a_page = (
        "SELECT n, CASE WHEN n > 1500 THEN pg_sleep(600)::text END FROM generate_series(1, 3000) AS t(n)"
    )
    await (await connection.query(slow_after_a_page)).fetch()


CALLS = {
    "query": lambda _, connection: connection.query(SLEEP),
    "fetch": read_on,
    "execute": lambda _, connection: connection.execute(SLEEP),
    "together": lambda _, connection: connection.execute_together(
        [("CREATE TABLE dev.t (a int)", None), (SLEEP, None)]
    ),
    "own steps": lambda _, connection: connection.run(lambda raw: raw.fetch(SLEEP)),
    "table": lambda warehouse, connection: warehouse.build_table(connection, ORDERS, SLEEP),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_is_cancelled_returns_when_the_server_has_stopped(warehouse, activity, working, call):
    connection = warehouse.connect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(CALLS[call], warehouse, connection)
        await working()
        tasks.cancel_scope.cancel()
    assert {state for state, _ in await activity()} == {"idle"}
    assert await warehouse.relations() == frozenset()
    assert await rows(connection, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("call", CALLS)
async def test_closing_a_connection_stops_what_it_runs(warehouse, activity, working, call):
    async def interrupted() -> None:
        with pytest.raises(WarehouseError, match="interrupted"):
            await CALLS[call](warehouse, connection)

    connection = warehouse.connect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(interrupted)
        await working()
        await connection.close()
        assert {state for state, _ in await activity()} == {"idle"}


async def test_closing_a_warehouse_stops_whatever_runs(make_postgres, activity, working):
    async def interrupted() -> None:
        with pytest.raises(WarehouseError, match="interrupted"):
            await warehouse.connect().execute(SLEEP)

    warehouse = make_postgres()
    await warehouse.open()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(interrupted)
        await working(3)
        await warehouse.close()
    assert [state for state, _ in await activity() if state != "idle"] == []


async def test_a_statement_that_is_cancelled_as_it_is_sent_does_not_run_on(warehouse, activity):
    """The request to cancel may come first; the server then knows of nothing to cancel."""
    connection = warehouse.connect()
    for microseconds in range(0, 3_000, 100):
        with anyio.move_on_after(microseconds / 1e6):
            await connection.execute(SLEEP)
    assert {state for state, _ in await activity()} == {"idle"}


# -- connections ------------------------------------------------------------------------------------------------------


async def test_a_terminated_connection_fails_only_the_statement_that_used_it(warehouse, on_server, working):
    async def lost() -> None:
        with pytest.raises(WarehouseError, match="terminating connection") as raised:
            await unlucky.execute(SLEEP)
        assert raised.value.transient
        assert raised.value.help

    unlucky, lucky = warehouse.connect(), warehouse.connect()
    result = await lucky.query(LARGE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lost)
        (process,) = await working()
        await on_server(f"SELECT pg_terminate_backend({process})")
    assert len(await result.fetch()) == 100_000
    assert await process_of(unlucky) != process


async def test_a_connection_that_ended_while_nobody_used_it_is_replaced(warehouse, on_server, activity):
    connection = warehouse.connect()
    process = await process_of(connection)
    await on_server(f"SELECT pg_terminate_backend({process})")
    while process in dict(map(reversed, await activity())):
        await anyio.sleep(0.01)
    await anyio.sleep(0.1)
    assert await process_of(connection) != process


async def test_a_connection_that_ended_unnoticed_in_a_call_is_replaced(warehouse):
    connection = warehouse.connect()

    async def end(raw):
        raw.terminate()
        return 1

    assert await connection.run(end) == 1
    assert await (await connection.query("SELECT 2")).fetch() == [(2,)]
    await connection.close()


async def test_the_transaction_of_a_terminated_connection_has_not_happened(warehouse, on_server, working):
    async def lost() -> None:
        with pytest.raises(WarehouseError, match="terminating connection"):
            await warehouse.build_table(warehouse.connect(), ORDERS, SLEEP)

    await warehouse.build_table(warehouse.connect(), ORDERS, "SELECT 7 AS a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lost)
        (process,) = await working()
        await on_server(f"SELECT pg_terminate_backend({process})")
    assert await rows(warehouse.connect(), "SELECT * FROM dev.orders") == [(7,)]
    assert await warehouse.relations() == {ORDERS}


@pytest.mark.parametrize("immediate", [False, True])
async def test_a_restarted_server_fails_only_what_ran(warehouse, postgres_server, working, immediate):
    async def lost() -> None:
        with pytest.raises(WarehouseError) as raised:
            await connection.execute(SLEEP)
        assert raised.value.transient

    connection, idle = warehouse.connect(), warehouse.connect()
    await idle.execute("CREATE TABLE dev.t AS SELECT 1 AS a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lost)
        await working()
        await anyio.to_thread.run_sync(lambda: postgres_server.restart(immediate=immediate))
    for each in (connection, idle):
        assert await rows(each, "SELECT a FROM dev.t") == [(1,)]


async def test_a_server_that_is_away_for_a_moment_is_waited_for(warehouse, postgres_server):
    async with anyio.create_task_group() as tasks:
        await anyio.to_thread.run_sync(postgres_server.stop)
        try:
            for _ in range(3):
                tasks.start_soon(rows, warehouse.connect(), "SELECT 1")
            await anyio.sleep(0.2)
        finally:
            await anyio.to_thread.run_sync(postgres_server.start)


async def test_a_server_that_went_away_is_told_as_such(warehouse, postgres_server, monkeypatch):
    monkeypatch.setattr("sqlbuild.drivers.postgres.AWAY_SECONDS", 0.2)
    connection = warehouse.connect()
    await anyio.to_thread.run_sync(postgres_server.stop)
    try:
        with pytest.raises(WarehouseError, match="cannot be reached") as raised:
            await connection.execute("SELECT 1")
        assert raised.value.transient
        assert raised.value.help
    finally:
        await anyio.to_thread.run_sync(postgres_server.start)
    assert await rows(connection, "SELECT 1") == [(1,)]


async def test_connections_are_given_back_clean_and_none_is_left(make_postgres, activity):
    async def use(number: int) -> None:
        connection = warehouse.connect()
        await connection.execute("SET search_path = nowhere; CREATE TEMP TABLE mine AS SELECT 1 AS a")
        match number % 5:
            case 0:
                await connection.query(LARGE)
            case 1:
                (await connection.query(LARGE)).abandon()
            case 2:
                with pytest.raises(WarehouseError):
                    await connection.execute("SELECT * FROM nowhere.at_all")
            case 3:
                with anyio.move_on_after(0.01):
                    await connection.execute(SLEEP)
            case 4:
                await connection.query(LARGE)
                await rows(connection, "SELECT 1")
        await connection.close()

    async def use_some(first: int) -> None:
        for number in range(first, 20, 4):
            await use(number)

    warehouse = make_postgres()
    await warehouse.open()
    async with anyio.create_task_group() as tasks:
        for first in range(4):
            tasks.start_soon(use_some, first)
    found = await activity()
    assert {state for state, _ in found} == {"idle"}
    assert len(found) <= 8
    for connection in [warehouse.connect() for _ in found]:
        seen = "SELECT current_setting('search_path'), to_regclass('mine') IS NULL"
        assert await rows(connection, seen) == [('"$user", public', True)]
    await warehouse.close()
    while await activity():
        await anyio.sleep(0.01)


# -- time limits and privileges ---------------------------------------------------------------------------------------


async def test_the_servers_time_limit_says_which_it_was(make_postgres):
    warehouse = make_postgres(settings={"statement_timeout": "50ms"})
    await warehouse.open()
    with pytest.raises(WarehouseError, match="statement timeout") as raised:
        await warehouse.connect().execute(SLEEP)
    assert "statement_timeout" in raised.value.help
    assert not raised.value.transient
    await warehouse.close()


async def test_a_lock_that_cannot_be_had_says_so(warehouse, make_postgres, working):
    limited = make_postgres(settings={"lock_timeout": "50ms"})
    await limited.open()
    await warehouse.build_table(warehouse.connect(), ORDERS, "SELECT 1 AS a")
    async with anyio.create_task_group() as tasks:
        holding = [("LOCK TABLE dev.orders", None), (SLEEP, None)]
        tasks.start_soon(warehouse.connect().execute_together, holding)
        await working()
        with pytest.raises(WarehouseError, match="lock timeout") as raised:
            await limited.connect().execute("INSERT INTO dev.orders VALUES (2)")
        tasks.cancel_scope.cancel()
    assert "lock" in raised.value.help
    assert raised.value.transient
    await limited.close()


async def test_a_missing_privilege_says_what_to_grant(postgres_server, database, warehouse):
    with postgres_server.new_role() as role:
        options = {"dsn": postgres_server.dsn(database, user=role)}
        lesser = PostgresWarehouse(Connection(name="local", adapter="postgres", options=options))
        await lesser.open()
        with pytest.raises(WarehouseError, match="permission denied") as raised:
            await lesser.build_table(lesser.connect(), ORDERS, "SELECT 1 AS a")
        assert "grant" in raised.value.help
        await lesser.close()


# -- reaching it ------------------------------------------------------------------------------------------------------


async def test_a_wrong_password_is_told_from_other_failures(postgres_server, database, unreachable):
    dsn = postgres_server.dsn(database, tcp=True, password="sesame")
    error = await unreachable(dsn=dsn)
    assert "password authentication failed" in str(error)
    assert "password" in error.help
    assert "sesame" not in str(error) + error.help


async def test_the_right_password_opens_through_tcp(postgres_server, database):
    options = {"dsn": postgres_server.dsn(database, tcp=True)}
    warehouse = PostgresWarehouse(Connection(name="local", adapter="postgres", options=options))
    await warehouse.open()
    assert await rows(warehouse.connect(), "SELECT current_database()") == [(database,)]
    await warehouse.close()


@pytest.mark.parametrize(
    ("options", "message", "help"),
    [
        ({"user": "nobody_knows"}, 'role "nobody_knows" does not exist', "user"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist', "createdb"),
        ({"host": "/no/such/folder"}, "/no/such/folder", "host"),
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid", "host"),
    ],
)
async def test_what_is_wrong_in_the_settings_is_named(unreachable, options, message, help):
    error = await unreachable(**options)
    assert message in str(error)
    assert help in error.help


async def test_a_server_that_does_not_run_is_named(unreachable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = await unreachable(dsn=f"postgresql://me:sesame@127.0.0.1:{port}/shop")
    assert f"127.0.0.1:{port}/shop cannot be reached" in str(error)
    assert "running" in error.help
    assert "sesame" not in str(error) + error.help
