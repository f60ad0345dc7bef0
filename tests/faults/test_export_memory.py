"""However many rows come out of PostgreSQL, the process does not grow with them."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MOST_MB = 300
MOST_MORE_MB = 80
PROGRAM = """
import resource, sys
import anyio
from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.settings import Connection
from sqlbuild.interfaces.exporting import CopyOrder
from sqlbuild.warehouses.postgres import PostgresWarehouse
from sqlbuild.warehouses.postgres_copying import PostgresCopying

async def main(dsn, rows, way):
    warehouse = PostgresWarehouse(Connection(name="server", adapter="postgres", options={"dsn": dsn}))
    await warehouse.open()
    connection = warehouse.connect()
    sql = f"SELECT generate_series(1, {rows}) AS n, repeat('x', 100) AS text, now() AS at, 1.5::numeric(12,2) AS amount"
    count = 0
    if way == "batches":
        result = await connection.query(sql, arrow=True)
        while (batch := await result.fetch_batch(65_536)) is not None:
            count += batch.num_rows
    else:
        order = CopyOrder(rows=sql, path="/dev/null", format=ExportFormat(way))
        count = (await PostgresCopying().copy_to_file(connection, order)).rows
    await connection.close()
    await warehouse.close()
    assert count == rows
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)

anyio.run(main, sys.argv[1], int(sys.argv[2]), sys.argv[3])
"""


@pytest.mark.parametrize("way", ["parquet", "csv", "batches"])
def test_memory_is_bounded_whatever_the_number_of_rows(postgres_url, way):
    def peak(rows: int) -> int:
        command = [sys.executable, "-c", PROGRAM, postgres_url, str(rows), way]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    few, many = peak(300_000), peak(3_000_000)
    assert many < MOST_MB
    assert many - few < MOST_MORE_MB
