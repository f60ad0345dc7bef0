"""Seeds: one CSV file becomes the same table on every warehouse, and what it does not take is told with its place."""

from __future__ import annotations

import datetime
import decimal
import uuid

import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.domain.graph import Fingerprint, Node
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation
from sqlbuild.domain.nodes import Seed
from sqlbuild.errors import SeedError, WarehouseError
from sqlbuild.project.read_seeds import content_digest
from sqlbuild.runner.kinds import seed as seed_module
from sqlbuild.runner.kinds.seed import load_seed
from sqlbuild.runner.run_order import RunOrder
from sqlbuild.state.warehouse_tables import COMMITS_TABLE, WarehouseStateStore
from sqlbuild.warehouses.duckdb_loading import DuckDBLoading
from sqlbuild.warehouses.postgres_loading import PostgresLoading

SEEDS = Relation("", "dev", "prices")
COMMITS = Relation("", "dev", COMMITS_TABLE)


@pytest.fixture(params=["duckdb file", "postgres"])
def place(request):
    return request.param


@pytest.fixture
async def load(warehouse, place, tmp_path, make_store):
    """Loads the seed `prices` from a text with columns like `id INTEGER`, and returns the table's rows."""
    store: WarehouseStateStore = make_store(warehouse)
    await store.begin()
    loading = PostgresLoading() if place == "postgres" else DuckDBLoading()

    async def load(content, *columns, **settings):
        path = tmp_path / "prices.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        declared = [each.removesuffix(" not null").split(" ", 1) for each in columns]
        seed = Seed(
            name="prices",
            place=Place("seeds/prices.yml", 2, 5),
            csv_path="prices.csv",
            content_digest=content_digest(path),
            columns=tuple(
                Column(name=name, type=type_, nullable=False if each.endswith(" not null") else None)
                for (name, type_), each in zip(declared, columns, strict=True)
            ),
            csv=CsvSettings(**settings),
        )
        fingerprint = Fingerprint(code="", settings="", upstream="", total="")
        node = Node(
            id=NodeId("seed:prices"),
            kind=NodeKind.SEED,
            name="prices",
            place=seed.place,
            declaration=seed,
            relation=SEEDS,
            fingerprint=fingerprint,
        )
        order = RunOrder(
            run_id="r1",
            root=str(tmp_path),
            limits={"concurrency": 1, "threads": 1, "connections": 1},
            pools={},
            rates={},
            commits=COMMITS,
        )
        await load_seed(node, warehouse, loading, order, 1)
        return await rows(warehouse)

    return load


async def rows(warehouse, sql="SELECT * FROM dev.prices"):
    connection = warehouse.connect()
    try:
        return await (await connection.query(sql)).fetch()
    finally:
        await connection.close()


async def test_values_are_read_in_one_way_whatever_the_warehouse(load):
    content = (
        "name,id,price,ratio,sold,day,at,seen,open_at,key,tags\r\n"
        '"Löwe, ""the"" \n lion",-7,1.005,1e-3,YES,2024-1-5,2024-01-05T10:00,2024-01-05 10:00:00.5+02,8:30,'
        '0d5c3c9e-9bfb-4cb2-9a2b-0a6f8d1f9f10,"{""a"":1}"\r\n'
        "\r\n"
        " x ,+9223372036854775807, 12 ,-inf,0,2024/02/29,2024-01-05,2024-01-05 10:00,23:59:59.123456,,\r\n"
        ",,,,,,,,,,\n"
    )
    columns = (
        "id BIGINT", "name VARCHAR", "price DECIMAL(10, 2)", "ratio DOUBLE PRECISION", "sold BOOLEAN", "day DATE",
        "at TIMESTAMP", "seen TIMESTAMPTZ", "open_at TIME", "key UUID", "tags JSON",
    )  # fmt: skip
    first, second, third = sorted(await load(content, *columns), key=lambda row: (row[0] is None, row[0]))
    utc = datetime.UTC
    assert first[:2] == (-7, 'Löwe, "the" \n lion')
    assert first[2:8] == (
        decimal.Decimal("1.01"),
        0.001,
        True,
        datetime.date(2024, 1, 5),
        datetime.datetime.fromisoformat("2024-01-05T10:00"),
        datetime.datetime(2024, 1, 5, 8, 0, 0, 500_000, utc),
    )
    assert first[8:10] == (datetime.time(8, 30), uuid.UUID("0d5c3c9e-9bfb-4cb2-9a2b-0a6f8d1f9f10"))
    assert str(first[10]).replace(" ", "") == '{"a":1}'
    assert second == (
        2**63 - 1,
        " x ",
        decimal.Decimal(12),
        float("-inf"),
        False,
        datetime.date(2024, 2, 29),
        datetime.datetime.fromisoformat("2024-01-05"),
        datetime.datetime(2024, 1, 5, 10, tzinfo=utc),
        datetime.time(23, 59, 59, 123_456),
        None,
        None,
    )
    assert third == (None,) * 11


WRONG = [
    ("INTEGER", "1.5", "column v: '1.5' is no INTEGER, the declared type"),
    ("INTEGER", "1_000", "'1_000' is no INTEGER"),
    ("SMALLINT", "32768", "'32768' is no SMALLINT, the declared type: it is not within -32768 and 32767"),
    ("INTEGER", "9" * 5_000, "999..."),
    ("DECIMAL(5, 2)", "1000", "it has more than 3 digits before the point"),
    ("DECIMAL(5, 2)", "1e999", "it has more than 3 digits before the point"),
    ("DOUBLE PRECISION", "1,5", "'1,5' is no DOUBLE PRECISION"),
    ("DOUBLE PRECISION", "1e400", "it is too large"),
    ("BOOLEAN", "maybe", "'maybe' is no BOOLEAN, the declared type: write true or false"),
    ("DATE", "05.01.2024", "write year, month and day as in 2024-01-31"),
    ("DATE", "2023-02-29", "'2023-02-29' is no DATE"),
    ("TIMESTAMP", "2024-01-05 10:00+01", "it has an offset"),
    ("TIMESTAMPTZ", "yesterday", "write it as in 2024-01-31T18:30:00+02:00"),
    ("TIME", "25:00", "'25:00' is no TIME"),
    # Cast by the warehouse, each in its own words.
    ("UUID", "abc", "column v: "),
    ("INTERVAL", "soon", "column v: "),
]


async def test_a_value_that_is_none_of_its_type_is_told_with_its_line(load, warehouse):
    for type_, text, message in WRONG:
        content = f'id,v\n1,\n\n"2\n2",\n3,"{text}"\n4,"{text}"\n'
        with pytest.raises(SeedError) as raised:
            await load(content, "id VARCHAR", f"v {type_}")
        assert message in str(raised.value)
        assert (raised.value.path, raised.value.line) == ("prices.csv", 6)
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'dev'"
    assert not [name for (name,) in await rows(warehouse, tables) if "staging" in name or "prices" in name]


async def test_what_is_null_is_said_for_all_columns_or_for_some(load):
    content = 'a,b,c\n-,-,\n"",N/A,x\n'
    columns = ("a VARCHAR", "b VARCHAR", "c VARCHAR")
    assert await load(content, *columns, na_values=("-",), na_values_of={"b": ("N/A",)}) == [
        (None, None, None),
        (None, None, "x"),
    ]
    assert await load(content, *columns, na_values=("-",), keep_default_na=False) == [
        (None, None, ""),
        ("", "N/A", "x"),
    ]
    with pytest.raises(SeedError, match="column c is NULL, but it is declared not nullable"):
        await load(content, "a VARCHAR", "b VARCHAR", "c VARCHAR not null")


async def test_a_file_may_be_written_in_many_ways(load):
    ways = [
        ("\ufeffid,v\n1,ä;b\n", {}),
        ("id;v\n1;'ä;b'\n", {"delimiter": ";", "quotechar": "'"}),
        ("id,v\n1,ä\\;b\n".replace("\\;", "\\;"), {"escapechar": "\\"}),
        ("id, v\n1, ä;b\n", {"skipinitialspace": True}),
        ("id,v\r1,ä;b\r", {}),
        ("id,v|1,ä;b|", {"lineterminator": "|"}),
        ("id,v\n1,ä;b\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("id,v\n1,ä;b\n".encode("cp1252"), {"encoding": "cp1252"}),
    ]
    for content, settings in ways:
        assert await load(content, "id INTEGER", "v VARCHAR", **settings) == [(1, "ä;b")]


async def test_the_table_is_what_was_declared_whatever_was_there_before(load, warehouse):
    connection = warehouse.connect()
    await connection.execute("CREATE VIEW dev.prices AS SELECT 1 AS other")
    await connection.close()
    assert await load("id\n1\n2\n", "id INTEGER") == [(1,), (2,)]
    assert await load("v,id\na,1\n", "id BIGINT", "v VARCHAR") == [(1, "a")]
    assert await load("v\n", "v VARCHAR") == []
    assert await rows(warehouse, "SELECT node_id, part FROM dev._sqlbuild_commits") == [("seed:prices", "seed")] * 3
    with pytest.raises(SeedError, match="2 fields, but the first line names 1"):
        await load("v\na\nb,c\n", "v VARCHAR")
    assert await rows(warehouse) == []


async def test_a_file_of_several_batches_tells_the_right_line(load, monkeypatch):
    monkeypatch.setattr(seed_module, "ROWS_AT_ONCE", 3)
    content = "id,key\n" + "".join(f"{n},\n" for n in range(10))
    assert await load(content, "id INTEGER", "key UUID") == [(n, None) for n in range(10)]
    with pytest.raises(SeedError) as raised:
        await load(content + "10,x\n", "id INTEGER", "key UUID")
    assert raised.value.line == 12


async def test_a_file_that_is_no_text_of_its_encoding_or_no_csv_is_told_with_its_line(load):
    with pytest.raises(SeedError, match="the file is not utf-8: byte 0xe4") as raised:
        await load(b"id\n1\n" + "ä\n".encode("latin-1"), "id VARCHAR")
    assert raised.value.line == 3
    with pytest.raises(SeedError, match="never closed") as raised:
        await load('id\n1\n"2\n3\n', "id VARCHAR")
    assert raised.value.line == 3


async def test_a_declared_type_that_is_none_is_told_at_the_entry_of_the_seed(load):
    with pytest.raises(WarehouseError) as raised:
        await load("id\n1\n", "id NUMBERISH")
    assert (raised.value.path, raised.value.line) == (None, 2)
