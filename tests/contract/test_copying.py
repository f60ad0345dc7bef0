"""What every warehouse that writes files does."""

from __future__ import annotations

import csv
import json
import re

import anyio
import duckdb
import pytest

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.exporting import CopyOrder, CursorRange, ParquetRows
from sqlbuild.warehouses.duckdb_copying import DuckDBCopying
from sqlbuild.warehouses.postgres_copying import PostgresCopying

QUERY = "SELECT * FROM (VALUES (1, 'a,\"b'), (2, NULL), (3, ''), (NULL, 'né')) t(n, text) -- the rows\n;"


@pytest.fixture(params=["duckdb file", "duckdb memory"])
def place(request) -> str:
    return str(request.param)


@pytest.fixture
def copying(place):
    return PostgresCopying() if place == "postgres" else DuckDBCopying()


@pytest.mark.parametrize("format", [format for format in ExportFormat if format is not ExportFormat.ARROW])
async def test_the_rows_of_a_query_come_back_from_the_file(copying, connection, tmp_path, format):
    path = tmp_path / "we'ird *[x]?{a}"
    path.write_text("what was there before")
    copied = await copying.copy_to_file(connection, CopyOrder(rows=QUERY, path=str(path), format=format))
    assert copied.rows == 4
    match format:
        case ExportFormat.CSV:
            assert list(csv.reader(path.read_text().splitlines()))[1] == ["1", 'a,"b']
        case ExportFormat.JSON:
            assert json.loads(path.read_text())[3] == {"n": None, "text": "né"}
        case ExportFormat.JSONL:
            assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ['a,"b', None, "", "né"]
        case ExportFormat.CSV_GZ:
            assert path.read_bytes()[:2] == b"\x1f\x8b"
        case ExportFormat.PARQUET:
            rows = duckdb.execute("SELECT * FROM read_parquet(?)", [_exactly(path)]).fetchall()
            assert rows[1] == (2, None)
    assert [entry.name for entry in tmp_path.iterdir() if "warehouse" not in entry.name] == [path.name]


def _exactly(path):
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


async def test_columns_are_described_as_the_query_gives_them(copying, connection):
    sql = """SELECT 1 AS "a ""b\""", DATE '2025-01-01' AS d, CAST(ARRAY[1.5] AS DECIMAL(2,1)[]) AS "select" """
    described = await copying.describe(connection, sql)
    assert [(name, type_.lower().replace("numeric", "decimal")) for name, type_ in described] == [
        ('a "b"', "integer"),
        ("d", "date"),
        ("select", "decimal(2,1)[]"),
    ]


async def test_the_rows_of_a_parquet_file_are_described_and_written(copying, connection, tmp_path):
    parquet = tmp_path / "we'ird *[x]?{a}.parquet"
    duckdb.execute(f"COPY (SELECT 1 AS n, 'x' AS t) TO '{str(parquet).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
    rows = ParquetRows(path=str(parquet))
    assert await copying.describe(connection, rows) == [("n", "INTEGER"), ("t", "VARCHAR")]
    order = CopyOrder(rows=rows, path=str(tmp_path / "x.csv"), format=ExportFormat.CSV)
    assert (await copying.copy_to_file(connection, order)).rows == 1
    assert (tmp_path / "x.csv").read_text() == "n,t\n1,x\n"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "no SQL"),
        (" ; -- nothing", "no SQL"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT 1) TO 'x'; DROP TABLE canary; --", "several statements"),
        ("SELECT 1) t, (SELECT 2", "several statements"),
        ("DROP TABLE canary", "syntax error|no columns"),
        ("SELECT 'never closed", "(?i)unterminated"),
    ],
)
async def test_what_is_not_one_query_is_refused_and_does_nothing(copying, connection, tmp_path, sql, message):
    await connection.execute("CREATE TABLE canary (n INTEGER)")
    path = tmp_path / "x.csv"
    order = CopyOrder(rows=sql, path=str(path), format=ExportFormat.CSV)
    for refused in (copying.describe(connection, sql), copying.copy_to_file(connection, order)):
        with pytest.raises(WarehouseError, match=message):
            await refused
    assert not path.exists()
    await connection.execute("INSERT INTO canary VALUES (1)")


@pytest.mark.parametrize("format", [ExportFormat.PARQUET, ExportFormat.CSV, ExportFormat.JSONL])
async def test_partitions_are_folders_of_files(copying, connection, tmp_path, format):
    values = ["..", "a/b", "A", "100%", None, "x\ny"]
    await connection.execute("CREATE TABLE parts (n INTEGER, part VARCHAR)")
    for value in values:
        await connection.execute("INSERT INTO parts VALUES (1, ?), (2, ?)", [value, value])
    folder = tmp_path / "out"
    order = CopyOrder(rows="SELECT * FROM parts", path=str(folder), format=format, partition_by=("part",))
    copied = await copying.copy_to_file(connection, order)
    files = sorted(folder.rglob(f"*.{format}"))
    assert (copied.rows, len(files)) == (12, 6)
    assert all(file.parent.parent == folder for file in files)
    if format is ExportFormat.PARQUET:
        assert copied.rows_of_files == {str(file): 2 for file in files}


@pytest.mark.parametrize(
    ("after", "upto", "expected"),
    [(None, None, [1, 2, 3, None]), (None, "2", [1, 2, None]), ("1", "2", [2]), ("3", None, [])],
)
async def test_a_range_leaves_rows_out(copying, connection, tmp_path, after, upto, expected):
    cursor = CursorRange(column="n", type="INTEGER", after=after, upto=upto)
    path = tmp_path / "x.jsonl"
    await copying.copy_to_file(
        connection, CopyOrder(rows=QUERY, path=str(path), format=ExportFormat.JSONL, cursor=cursor)
    )
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == expected


@pytest.mark.parametrize(
    ("value", "type"),
    [
        ("TIMESTAMP '2025-01-02 03:04:05.678901'", "TIMESTAMP"),
        ("TIMESTAMPTZ '2025-01-02 03:04:05.678901+05:30'", "TIMESTAMP WITH TIME ZONE"),
        ("TIMESTAMP_NS '2025-01-02 03:04:05.678901234'", "TIMESTAMP_NS"),
        ("9007199254740993", "BIGINT"),
        ("0.1::DOUBLE PRECISION + 0.2", "DOUBLE PRECISION"),
        ("12345678901234567.89::DECIMAL(38,2)", "DECIMAL(38,2)"),
        ("'it''s \\ \"x\"'", "VARCHAR"),
        ("gen_random_uuid()", "UUID"),
    ],
)
async def test_the_highest_value_as_text_leaves_exactly_itself_out(place, copying, connection, value, type):
    if place == "postgres" and type == "TIMESTAMP_NS":
        pytest.skip("PostgreSQL knows microseconds only")
    await connection.execute(f"CREATE TABLE moments AS SELECT {value} AS at")
    cursor = CursorRange(column="at", type=type)
    highest = await copying.highest(connection, "SELECT * FROM moments", cursor)
    assert highest is not None
    beyond = CursorRange(column="at", type=type, after=highest)
    assert await copying.highest(connection, "SELECT * FROM moments", beyond) is None


async def test_order_is_kept_with_a_cursor(copying, connection, tmp_path):
    await connection.execute(
        "CREATE TABLE numbers AS SELECT CAST(i AS BIGINT) * 7919 % 300007 AS n FROM generate_series(0, 300006) AS s(i)"
    )
    path = tmp_path / "x.csv"
    cursor = CursorRange(column="n", type="BIGINT", after="5", upto="200000")
    order = CopyOrder(rows="SELECT * FROM numbers ORDER BY n", path=str(path), format=ExportFormat.CSV, cursor=cursor)
    await copying.copy_to_file(connection, order)
    assert path.read_text().split()[1:] == [str(n) for n in range(6, 200001)]


@pytest.mark.parametrize("format", [ExportFormat.CSV, ExportFormat.PARQUET, ExportFormat.JSON])
async def test_a_copy_ends_at_once_when_it_is_cancelled(copying, warehouse, endless, tmp_path, format):
    """Many times: with threads of its own for I/O, DuckDB hangs in one of fifty."""
    for attempt in range(15):
        connection = warehouse.connect()
        order = CopyOrder(rows=endless, path=str(tmp_path / f"{attempt}"), format=format)
        with anyio.fail_after(10), anyio.move_on_after(0.02 + 0.005 * attempt) as moved_on:
            await copying.copy_to_file(connection, order)
        assert moved_on.cancelled_caught
        await connection.close()
