"""Rows of PostgreSQL on their way into Arrow batches and files: errors, cancelling, slow readers and large rows."""

from __future__ import annotations

import os
import random
import threading

import anyio
import duckdb
import pytest

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.exporting import CopyOrder
from sqlbuild.warehouses.postgres_copying import PostgresCopying

FAILING = "SELECT 1000 / (100000 - i) AS n, repeat('x', 100) AS t FROM generate_series(1, 150000) AS s(i)"
MANY = "SELECT generate_series(1, 50000000) AS n, 'some text' AS t"
SLEEPING = "SELECT 1 AS n FROM pg_sleep(600)"
LARGE = "SELECT i AS n, i % 2 AS part, repeat('x', CASE i WHEN 4 THEN 5000000 ELSE i END) AS t FROM generate_series(1, 6) AS s(i)"
SIZES = [(1, 1), (2, 2), (3, 3), (4, 5_000_000), (5, 5), (6, 6)]


@pytest.fixture
def place() -> str:
    return "postgres"


@pytest.fixture
def busy(warehouse):
    """What the server still works on, or waits with, for anybody but the one that asks."""

    async def seen():
        connection = warehouse.connect()
        sql = (
            "SELECT state, wait_event FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        try:
            return await (await connection.query(sql)).fetch()
        finally:
            await connection.close()

    return seen


async def until_nothing_is_at_work(busy):
    """At once, but for a COPY whose rows came while it was told to stop: asyncpg drops its connection then, and the server
    takes a moment to notice."""
    with anyio.fail_after(20):
        while await busy():
            await anyio.sleep(0.01)


def copy_to(path, sql, **order):
    return CopyOrder(rows=sql, path=str(path), format=ExportFormat.PARQUET, **order)


def open_files():
    return sorted(os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _exists(name))


def _exists(name):
    return os.path.islink(f"/proc/self/fd/{name}")


async def read(result, counts):
    """Batches to the end; `counts` gets how many rows each has."""
    while (batch := await result.fetch_batch(100_000)) is not None:
        counts.append(batch.num_rows)


async def test_an_error_in_the_middle_of_the_rows_is_the_servers_own(connection, tmp_path):
    with pytest.raises(WarehouseError, match=r"^division by zero"):
        await PostgresCopying().copy_to_file(connection, copy_to(tmp_path / "x", FAILING))
    result = await connection.query(FAILING, arrow=True)
    counts = []
    with pytest.raises(WarehouseError, match=r"^division by zero"):
        await read(result, counts)
    assert 0 < sum(counts) < 100_000
    assert result.closed


async def test_a_file_that_cannot_be_written_ends_the_copy(connection, busy, tmp_path):
    with pytest.raises(WarehouseError, match="IO Error"):
        await PostgresCopying().copy_to_file(connection, copy_to(tmp_path / "nowhere" / "x", MANY))
    await until_nothing_is_at_work(busy)


async def test_a_server_that_goes_away_in_the_middle_is_a_passing_error(warehouse, connection, tmp_path):
    async def end_the_others():
        other = warehouse.connect()
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND datname = current_database()"
        while not await (await other.query(sql)).fetch():
            await anyio.sleep(0.01)
        await other.close()

    result = await connection.query(MANY, arrow=True)
    await end_the_others()
    with pytest.raises(WarehouseError) as raised:
        await read(result, [])
    assert raised.value.transient
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end_the_others)
        with pytest.raises(WarehouseError) as raised:
            await PostgresCopying().copy_to_file(connection, copy_to(tmp_path / "x", MANY))
    assert raised.value.transient


async def test_a_reader_that_takes_its_time_makes_the_server_wait(connection, busy):
    result = await connection.query(MANY, arrow=True)
    await result.fetch_batch(1)
    while ("active", "ClientWrite") not in await busy():
        await anyio.sleep(0.01)
    await result.close()
    await until_nothing_is_at_work(busy)


@pytest.mark.parametrize("sql", [MANY, SLEEPING])
async def test_whatever_is_cancelled_leaves_nothing_behind(warehouse, busy, tmp_path, sql):
    async def use(connection):
        if random.random() < 0.5:
            await PostgresCopying().copy_to_file(connection, copy_to(tmp_path / "x", sql))
        result = await connection.query(sql, arrow=True)
        while await result.fetch_batch(1_000) is not None:
            await anyio.lowlevel.checkpoint()

    async def attempt():
        connection = warehouse.connect()
        with anyio.fail_after(20), anyio.move_on_after(random.random() * 0.1) as moved_on:
            await use(connection)
        assert moved_on.cancelled_caught
        await connection.close()

    for _ in range(2):
        await attempt()
    await until_nothing_is_at_work(busy)
    before = open_files()
    for _ in range(8):
        await attempt()
    await until_nothing_is_at_work(busy)
    assert [name for name in open_files() if "pipe:" in name] == [name for name in before if "pipe:" in name]


async def test_a_closed_connection_ends_its_copies_and_the_last_one_its_thread(make_postgres, busy):
    warehouse = make_postgres()
    await warehouse.open()
    connection = warehouse.connect()
    for _ in range(2):
        await (await connection.query(MANY, arrow=True)).fetch_batch(1)
    await connection.close()
    await until_nothing_is_at_work(busy)
    await warehouse.close()
    assert [thread.name for thread in threading.enumerate() if "sqlbuild-duckdb" in thread.name] == []


async def test_rows_that_are_larger_than_others_come_too(connection):
    result = await connection.query(LARGE, arrow=True)
    found = []
    while (batch := await result.fetch_batch(4)) is not None:
        found += [(row["n"], len(row["t"])) for row in batch.to_pylist()]
    assert found == SIZES


@pytest.mark.parametrize("partition_by", [(), ("part",)])
async def test_rows_that_are_larger_than_others_are_written_once(connection, tmp_path, partition_by):
    path = tmp_path / "x"
    if partition_by:
        path.mkdir()
    copied = await PostgresCopying().copy_to_file(connection, copy_to(path, LARGE, partition_by=partition_by))
    assert copied.rows == 6
    files = f"{path}/*/*.parquet" if partition_by else str(path)
    assert duckdb.execute("SELECT n, len(t) FROM read_parquet(?) ORDER BY n", [files]).fetchall() == SIZES


async def test_many_results_are_read_beside_each_other(connection):
    async def read_rows_of(number):
        result = await connection.query(f"SELECT {number} AS k, n FROM generate_series(1, 20000) AS s(n)", arrow=True)
        rows = 0
        while (batch := await result.fetch_batch(1_000)) is not None:
            assert set(batch.column(0).to_pylist()) == {number}
            rows += batch.num_rows
        assert rows == 20_000

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(read_rows_of, number)
