"""Filling tables of PostgreSQL: its own types, what it refuses and in which row, and loads that are cut off."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import re
import uuid

import anyio
import asyncpg
import pyarrow
import pytest

from sqlbuild.authoring.columnar import record_batches
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.errors import NodeError, WarehouseError
from sqlbuild.interfaces.loading import LoadOrder, RowBatch
from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.runner.row_batches import batch_of_rows
from sqlbuild.warehouses.postgres_loading import PostgresLoading

ORDERS = Relation("", "dev", "orders")
COMMITS = Relation("", "dev", "_sqlbuild_commits")
MARKER = CommitMarker(relation=COMMITS, run_id="r1", node=NodeId("loader:orders"), part="load", attempt=1)
UTC = datetime.UTC


@pytest.fixture
def anyio_backend() -> str:
    """All of it happens on the home loop of asyncpg, which is one of asyncio for both."""
    return "asyncio"


@pytest.fixture
def place() -> str:
    return "postgres"


@pytest.fixture
async def connection(connection):
    await connection.execute(
        "CREATE TABLE dev._sqlbuild_commits (run_id text, node_id text, part text, attempt int, committed_at timestamp)"
    )
    return connection


class Loads:
    """Loads into dev.orders, batches of dicts or Arrow tables."""

    def __init__(self, connection) -> None:
        self.connection = connection

    def begin(self, strategy="table", **order):
        given = {"relation": ORDERS, "staging": "_staging", "strategy": WriteStrategy(strategy), **order}
        return PostgresLoading().begin(LoadOrder(**given))

    async def __call__(self, *batches, **order):
        load = self.begin(**order)
        first = 1
        try:
            for batch in batches:
                for part in [batch] if isinstance(batch, list) else record_batches(batch):
                    is_rows = isinstance(part, list)
                    rows = len(part) if is_rows else part.num_rows
                    made = batch_of_rows(part, first) if is_rows else RowBatch(rows=rows, first_row=first, arrow=part)
                    await load.add(self.connection, made)
                    first += rows
            return await load.apply(self.connection, MARKER)
        except (WarehouseError, NodeError):
            await load.discard(self.connection)
            raise

    async def rows(self, sql="SELECT * FROM dev.orders ORDER BY 1"):
        return await (await self.connection.query(sql)).fetch()

    async def types(self):
        sql = """
            SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
            WHERE attrelid = 'dev.orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """
        return dict(await self.rows(sql))

    async def relations(self):
        found = await self.rows("SELECT relname FROM pg_class WHERE relnamespace = 'dev'::regnamespace ORDER BY 1")
        return [name for (name,) in found]


@pytest.fixture
def load(connection):
    return Loads(connection)


def declared(**types):
    return tuple(Column(name=name, type=type_) for name, type_ in types.items())


# -- what is refused, and where ---------------------------------------------------------------------------------------

GOOD = [{"id": n, "v": "x"} for n in range(1, 1_501)]
"""More than are looked at in one go when they are sent as they came."""


@pytest.mark.parametrize(
    ("value", "type_", "message"),
    [
        ("2024-02-30", "date", "column v: '2024-02-30' (text) is no date, the declared type"),
        ("seven", "integer", "column v: 'seven' (text) is no integer, the declared type"),
        ("12345.678", "numeric(5,2)", "column v: '12345.678' (text) is no numeric(5,2), the declared type"),
        (40_000, "smallint", "column v: '40000' (bigint) is no smallint, the declared type"),
        (2**70, "bigint", "column v: '1180591620717411303424' (numeric) is no bigint, the declared type"),
        (1e300, "real", "column v: '1e+300' (double precision) is no real, the declared type"),
        (decimal.Decimal("99999.9"), "numeric(5,2)", "column v: numeric field overflow"),
        (0.5, "bigint", "column v: 0.5 is no whole number, the declared type is bigint"),
        ("too long", "varchar(3)", "column v: value too long for type character varying(3)"),
        ("a\x00b", "text", "column v holds text with the character NUL"),
        ({"a": ["\x00"]}, "jsonb", "column v holds JSON with the character NUL"),
        ("{", "jsonb", "column v: invalid input syntax for type json"),
        ([1, "x"], "integer[]", "column v: '[1, \"x\"]' (jsonb) is no integer[], the declared type"),
        ("maybe", "boolean", "column v: 'maybe' (text) is no boolean, the declared type"),
    ],
)
async def test_a_value_that_is_refused_is_told_with_column_and_row_and_nothing_has_happened(
    load, value, type_, message
):
    await load([{"id": 0, "v": None}], columns=declared(id="bigint", v=type_))
    ids = [{"id": n, "v": None} for n in range(1, 8)]
    with pytest.raises(WarehouseError, match=re.escape(message)) as raised:
        await load(ids, [*ids[:2], {"id": 9, "v": value}, *ids[:2]], columns=declared(id="bigint", v=type_))
    assert "(row 10)" in str(raised.value)
    assert (await load.rows(), await load.relations()) == ([(0, None)], ["_sqlbuild_commits", "orders"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"id": 9, "v": "a\x00b"},
            "column v holds text with the character NUL, which PostgreSQL cannot store (row 2,901)",
        ),
        ({"id": 9, "v": "\ud800"}, "column v holds text with a lone surrogate (row 2,901)"),
        ({"id": 9, "v": {1}}, "column v: row 2901 holds an object of type set"),
        ({"id": "x", "v": "y"}, "column id"),
        ({"id": 9, "v": 7}, "column v"),
        ({"id": 9, "V": "x", "v": "y"}, "the columns v and V differ only in upper and lower case"),
    ],
)
async def test_a_bad_row_is_found_among_many_that_are_sent_as_they_came(load, row, message):
    await load([{"id": 0, "v": "old"}])
    with pytest.raises((WarehouseError, NodeError), match=re.escape(message)):
        await load(GOOD, [*GOOD[:1_400], row, *GOOD[:100]])
    assert (await load.rows(), await load.relations()) == ([(0, "old")], ["_sqlbuild_commits", "orders"])


async def test_of_arrow_data_the_row_is_told_too(load):
    data = pyarrow.table({"id": pyarrow.array([1, 2, 3]), "v": pyarrow.array(["a", "b\x00", "c"])})
    with pytest.raises(
        WarehouseError, match=r"column v holds text with the character NUL, which PostgreSQL cannot store \(row 2\)"
    ):
        await load(data)


async def test_types_that_cannot_be_cast_are_told_without_a_row(load):
    message = "column v: cannot cast type timestamp with time zone to integer, the declared type"
    with pytest.raises(WarehouseError, match=message):
        await load([{"v": None}, {"v": datetime.datetime(2024, 1, 1, tzinfo=UTC)}], columns=declared(v="integer"))


async def test_a_check_of_a_domain_is_told_in_the_servers_words(load, connection):
    await connection.execute("CREATE DOMAIN dev.positive AS integer CHECK (value > 0)")
    with pytest.raises(WarehouseError, match=r"column v.*positive.*\(row 2\)"):
        await load([{"v": 1}, {"v": -1}], columns=declared(v="dev.positive"))


async def test_a_declared_type_that_is_none_is_told_with_its_column(load):
    with pytest.raises(WarehouseError, match='column v: type "strnig" does not exist') as raised:
        await load([{"id": 1, "v": "x"}], columns=declared(id="bigint", v="strnig"))
    assert raised.value.help == "declare a type of PostgreSQL, such as bigint, double precision, numeric(10, 2) or text"
    assert await load.relations() == ["_sqlbuild_commits"]


async def test_a_constraint_that_rows_break_leaves_the_table_as_it_was(load, connection):
    await connection.execute("CREATE TABLE dev.orders (id bigint PRIMARY KEY, v text NOT NULL)")
    await load([{"id": 1, "v": "x"}], strategy="append")
    with pytest.raises(WarehouseError, match="orders_pkey"):
        await load([{"id": 2, "v": "y"}, {"id": 1, "v": "y"}], strategy="append")
    with pytest.raises(WarehouseError, match='null value in column "v"'):
        await load([{"id": 3, "v": None}, {"id": 4, "v": "y"}], strategy="append")
    assert (await load.rows(), await load.relations()) == (
        [(1, "x")],
        ["_sqlbuild_commits", "orders", "orders_pkey"],
    )


# -- types ------------------------------------------------------------------------------------------------------------


async def test_values_become_what_is_declared(load, connection):
    await connection.execute("CREATE TYPE dev.mood AS ENUM ('glad', 'sad')")
    values = {
        "small": (7.0, "smallint", 7),
        "price": (1, "numeric(6,2)", decimal.Decimal("1.00")),
        "ratio": (decimal.Decimal("0.5"), "real", 0.5),
        "flag": ("yes", "boolean", True),
        "day": ("2024-02-29", "date", datetime.date(2024, 2, 29)),
        "at": ("2024-02-29 12:00+02", "timestamptz", datetime.datetime(2024, 2, 29, 10, tzinfo=UTC)),
        "took": ("1 day 02:00", "interval", datetime.timedelta(days=1, hours=2)),
        "key": ("00000000-0000-0000-0000-000000000007", "uuid", uuid.UUID(int=7)),
        "mood": ("sad", "dev.mood", "sad"),
        "code": ("ab", "char(3)", "ab "),
        "name": (12, "varchar(5)", "12"),
        "tags": (["a", None, "ü"], "text[]", ["a", None, "ü"]),
        "grid": ([[1, 2], [3, 4]], "integer[]", [[1, 2], [3, 4]]),
        "kept": ({"b": 1, "a": [1.5]}, "json", '{"b": 1, "a": [1.5]}'),
        "parsed": ('{"a": 1}', "jsonb", '{"a": 1}'),
        "shown": ({"a": 1}, "text", '{"a": 1}'),
    }
    columns = declared(**{name: type_ for name, (_, type_, _) in values.items()})
    row = {name: value for name, (value, _, _) in values.items()}
    await load([row, dict.fromkeys(row)], [row, row], columns=columns)
    found = await load.rows("SELECT * FROM dev.orders WHERE small IS NOT NULL")
    for each in found:
        told = {
            name: value.replace(" ", "") if name in ("kept", "parsed", "shown") else value
            for name, value in zip(row, each, strict=True)
        }
        assert told == {
            name: wanted.replace(" ", "") if name in ("kept", "parsed", "shown") else wanted
            for name, (_, _, wanted) in values.items()
        }
    assert len(found) == 3
    assert (await load.types())["mood"] == "dev.mood"


async def test_the_ends_of_pythons_time_are_no_infinities(load):
    last = datetime.datetime.max.replace(tzinfo=UTC)
    row = {
        "day": datetime.date.max,
        "first": datetime.date.min,
        "at": last.replace(tzinfo=None),
        "at_utc": last,
    }
    for batches in ([[row]], [[{**row, "day": datetime.date(2024, 1, 1)}], [row]]):
        await load(*batches)
        texts = "SELECT day::text, first::text, at::text, (at_utc AT TIME ZONE 'UTC')::text FROM dev.orders ORDER BY day DESC"
        assert (await load.rows(texts))[0] == (
            "9999-12-31",
            "0001-01-01",
            "9999-12-31 23:59:59.999999",
            "9999-12-31 23:59:59.999999",
        )


async def test_whole_numbers_of_any_size_and_small_decimals_arrive(load):
    values = [decimal.Decimal("1e-30"), decimal.Decimal("-12.50"), None]
    await load([{"v": value} for value in values])
    assert [value for (value,) in await load.rows("SELECT v::text FROM dev.orders ORDER BY v")] == [
        "-12.50",
        "0.000000000000000000000000000001",
        None,
    ]
    await load([{"v": 1}], [{"v": 2**63}], [{"v": 10**60}])
    assert (await load.types(), await load.rows()) == ({"v": "numeric"}, [(1,), (2**63,), (10**60,)])


async def test_lists_of_arrow_become_arrays_and_what_is_deeper_becomes_json(load):
    data = pyarrow.table(
        {
            "id": [1, 2],
            "numbers": pyarrow.array([[1, None], []], pyarrow.list_(pyarrow.int32())),
            "days": pyarrow.array([[datetime.date(2024, 1, 1)], None], pyarrow.list_(pyarrow.date32())),
            "deep": pyarrow.array([[[1], [2, 3]], []]),
            "line": pyarrow.array([{"sku": "a"}, None]),
            "data": pyarrow.array([b"\x00\xff", None]),
        }
    )
    await load(data, data.slice(0, 0))
    assert await load.types() == {
        "id": "bigint",
        "numbers": "integer[]",
        "days": "date[]",
        "deep": "jsonb",
        "line": "jsonb",
        "data": "bytea",
    }
    first, second = await load.rows()
    assert first[:3] == (1, [1, None], [datetime.date(2024, 1, 1)])
    assert (json.loads(first[3]), json.loads(first[4]), first[5]) == ([[1], [2, 3]], {"sku": "a"}, b"\x00\xff")
    assert second == (2, [], None, "[]", None, None)


async def test_json_text_in_a_jsonb_column_is_what_python_gave(load):
    value = {"ü": [None, True, 1, 1.5, "x", {"day": datetime.date(2024, 1, 1)}], "big": 2**70}
    await load([{"v": value}], [{"v": []}, {"v": {}}])
    found = [json.loads(text) for (text,) in await load.rows("SELECT v FROM dev.orders")]
    assert found == [{"ü": [None, True, 1, 1.5, "x", {"day": "2024-01-01"}], "big": 2**70}, [], {}]


# -- columns that come and change -------------------------------------------------------------------------------------


async def test_names_are_folded_as_in_queries_and_keep_what_needs_quotes(load):
    await load([{"OrderId": 1, "Größe": 2, "two Words": 3}], strategy="append")
    await load([{"ORDERID": 2, "GRÖSSE": 4, "two Words": 5, "ÄNDERUNG": 6}], strategy="append")
    assert list(await load.types()) == ["orderid", "größe", "two Words", "grÖsse", "Änderung"]
    with pytest.raises(WarehouseError, match="has 70 bytes, and PostgreSQL keeps 63 of them"):
        await load([{"ü" * 35: 1}])


async def test_columns_of_an_older_table_grow_with_what_comes(load):
    await load([{"id": 1, "v": "ab", "n": "1.5"}], columns=declared(id="integer", v="varchar(2)", n="numeric(3,1)"))
    loaded = await load(
        [{"id": 2**40, "v": "abc", "n": "10.25", "new": {"a": 1}}],
        columns=declared(v="varchar(10)", n="numeric(6,2)"),
        strategy="append",
    )
    assert loaded.added_columns == ("new",)
    assert loaded.widened_columns == (
        "v: character varying(2) to character varying(10)",
        "n: numeric(3,1) to numeric(6,2)",
        "id: integer to bigint",
    )
    assert await load.rows("SELECT id, v, n, new FROM dev.orders ORDER BY id") == [
        (1, "ab", decimal.Decimal("1.50"), None),
        (2**40, "abc", decimal.Decimal("10.25"), '{"a": 1}'),
    ]
    with pytest.raises(WarehouseError, match=r"value too long for type character varying\(10\)"):
        await load([{"v": "longer than ten"}], strategy="append")


# -- loads that are cut off -------------------------------------------------------------------------------------------


@pytest.fixture
async def other(postgres_url):
    """Somebody else's session, in a transaction."""
    raw = await asyncpg.connect(postgres_url)
    await raw.execute("BEGIN")
    yield raw
    await raw.close()


async def whoever_waits(other):
    """The server's process that waits for a lock, when there is one."""
    while (process := await other.fetchval("SELECT pid FROM pg_locks WHERE NOT granted")) is None:
        await anyio.sleep(0.01)
    return process


@pytest.fixture
async def begun(load):
    """A load with one row staged, into a table that has one."""
    await load([{"id": 0}])
    append = load.begin("append")
    await append.add(load.connection, batch_of_rows([{"id": 1}], 1))
    return append


async def is_as_it_was(load, begun):
    await begun.discard(load.connection)
    assert (await load.rows(), await load.relations()) == ([(0,)], ["_sqlbuild_commits", "orders"])
    assert await load.rows("SELECT run_id FROM dev._sqlbuild_commits") == [("r1",)]


async def test_a_load_that_is_cancelled_in_the_middle_of_a_batch_leaves_nothing(load, begun, other):
    await other.execute("LOCK TABLE dev._staging IN SHARE MODE")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(begun.add, load.connection, batch_of_rows([{"id": 2}], 2))
        await whoever_waits(other)
        tasks.cancel_scope.cancel()
    await other.execute("ROLLBACK")
    assert await load.rows("SELECT id FROM dev._staging") == [(1,)]
    await is_as_it_was(load, begun)


async def test_a_load_whose_connection_ends_in_the_middle_of_a_batch_leaves_nothing(load, begun, other):
    await other.execute("LOCK TABLE dev._staging IN SHARE MODE")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails_in_passing, begun.add, load.connection, batch_of_rows([{"id": 2}], 2))
        await other.execute("SELECT pg_terminate_backend($1)", await whoever_waits(other))
    await other.execute("ROLLBACK")
    await is_as_it_was(load, begun)


async def fails_in_passing(function, *args):
    with pytest.raises(WarehouseError) as raised:
        await function(*args)
    assert raised.value.transient


async def test_a_connection_that_ends_under_rows_unlike_those_before_loses_none_unsaid(load, begun, other):
    await other.execute("LOCK TABLE dev._staging IN SHARE MODE")
    failed = []

    async def add():
        try:
            await begun.add(load.connection, batch_of_rows([{"id": 2, "new": "x"}], 2))
        except WarehouseError as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(add)
        await other.execute("SELECT pg_terminate_backend($1)", await whoever_waits(other))
        await other.execute("ROLLBACK")
    if failed:
        assert failed[0].transient
        await is_as_it_was(load, begun)
    else:
        assert (await begun.apply(load.connection, MARKER)).rows == 2
        assert await load.rows("SELECT id, new FROM dev.orders ORDER BY 1") == [(0, None), (1, None), (2, "x")]


@pytest.mark.parametrize("strategy", ["table", "append", "merge"])
async def test_a_load_whose_connection_ends_while_it_is_applied_leaves_the_table_as_it_was(load, other, strategy):
    await load([{"id": 0}])
    begun = load.begin(strategy, unique_key=("id",) if strategy == "merge" else ())
    await begun.add(load.connection, batch_of_rows([{"id": 0}, {"id": 1}], 1))
    await other.execute("LOCK TABLE dev.orders IN SHARE MODE")
    async with anyio.create_task_group() as tasks:
        marker = dataclasses.replace(MARKER, run_id="r2")
        tasks.start_soon(fails_in_passing, begun.apply, load.connection, marker)
        await other.execute("SELECT pg_terminate_backend($1)", await whoever_waits(other))
    await other.execute("ROLLBACK")
    await is_as_it_was(load, begun)
