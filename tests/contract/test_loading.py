"""What every warehouse promises of filling tables with rows; see `sqlbuild.interfaces.loading`."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import uuid

import anyio
import pyarrow
import pytest

from sqlbuild.authoring.columnar import record_batches
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.loading import LoadOrder, RowBatch
from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.runner.row_batches import batch_of_rows
from sqlbuild.warehouses.duckdb_loading import DuckDBLoading
from sqlbuild.warehouses.postgres_loading import PostgresLoading

ORDERS = Relation("", "dev", "orders")
COMMITS = Relation("", "dev", "_sqlbuild_commits")

POSTGRES = {
    "BIGINT": "bigint",
    "BLOB": "bytea",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DECIMAL(10,2)": "numeric(10,2)",
    "DECIMAL(38,0)": "numeric",
    "DECIMAL(38,2)": "numeric",
    "DECIMAL(38,4)": "numeric",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "INTEGER": "integer",
    "INTERVAL": "interval",
    "JSON": "jsonb",
    "Price": "price",
    "SMALLINT": "smallint",
    "STRUCT(sku VARCHAR, n BIGINT)": "jsonb",
    "TIME": "time without time zone",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "UUID": "uuid",
    "VARCHAR": "text",
    "VARCHAR[]": "text[]",
}
"""What PostgreSQL says where DuckDB has these words."""


@pytest.fixture(params=["duckdb file", "duckdb file without pyarrow", "duckdb memory", "postgres"])
def place(request):
    return request.param


@pytest.fixture
def loading(place):
    return PostgresLoading() if place == "postgres" else DuckDBLoading(with_arrow="without" not in place)


class Table:
    """Loads into dev.orders, and what is in it then."""

    def __init__(self, loading, warehouse, connection) -> None:
        self.is_postgres = isinstance(loading, PostgresLoading)
        self.loading = loading
        self.warehouse = warehouse
        self.connection = connection
        self.loads = 0

    async def load(self, *batches, strategy="table", **order):
        """Batches are lists of dicts or Arrow tables."""
        given = {"relation": ORDERS, "staging": "_staging", "strategy": WriteStrategy(strategy)}
        load = self.loading.begin(LoadOrder(**{**given, **order}))
        first = 1
        try:
            for batch in batches:
                for part in [batch] if isinstance(batch, list) else record_batches(batch):
                    made = (
                        batch_of_rows(part, first)
                        if isinstance(part, list)
                        else RowBatch(rows=part.num_rows, first_row=first, arrow=part)
                    )
                    await load.add(self.connection, made)
                    first += made.rows
            self.loads += 1
            marker = CommitMarker(
                relation=COMMITS, run_id=f"r{self.loads}", node=NodeId("loader:orders"), part="load", attempt=1
            )
            return await load.apply(self.connection, marker)
        except WarehouseError:
            await load.discard(self.connection)
            raise

    async def rows(self, sql=None):
        """Without a statement all of them, sorted."""
        found = await (await self.connection.query(sql or "SELECT * FROM dev.orders")).fetch()
        return found if sql else sorted(found, key=lambda row: [(value is None, value) for value in row])

    def word(self, word):
        """A type as the warehouse spells it."""
        return POSTGRES.get(word, word) if self.is_postgres else word

    def told(self, message):
        """A pattern for a message with types in it, which are given as DuckDB spells them."""
        words = "|".join(sorted(map(re.escape, POSTGRES), key=len, reverse=True))
        return re.sub(rf"\b(?:{words})\b", lambda found: self.word(found[0]), message)

    def words(self, types):
        return {self.word(name): self.word(type_) for name, type_ in types.items()}

    async def types(self):
        duckdb = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'orders' ORDER BY column_index"
        postgres = """
            SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
            WHERE attrelid = 'dev.orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """
        return dict(await self.rows(postgres if self.is_postgres else duckdb))

    async def commits(self):
        return [run for (run,) in await self.rows("SELECT run_id FROM dev._sqlbuild_commits ORDER BY 1")]


@pytest.fixture
async def table(loading, warehouse, connection):
    await connection.execute(
        "CREATE TABLE dev._sqlbuild_commits (run_id VARCHAR, node_id VARCHAR, part VARCHAR, committed_at TIMESTAMP, attempt INTEGER)"
    )
    return Table(loading, warehouse, connection)


async def relations_of(table):
    return {relation.name for relation in await table.warehouse.relations()}


# -- strategies -------------------------------------------------------------------------------------------------------


async def test_table_replaces_all_rows_and_columns(table):
    await table.load([{"id": 1, "old": "x"}, {"id": 2, "old": "y"}])
    loaded = await table.load([{"id": 3, "new": 1.5}])
    assert (loaded.rows, loaded.has_table) == (1, True)
    assert await table.rows() == [(3, 1.5)]
    assert await table.types() == table.words({"id": "BIGINT", "new": "DOUBLE"})


async def test_append_adds_rows(table):
    await table.load([{"id": 1}], strategy="append")
    await table.load([{"id": 1}], [{"id": 2}], strategy="append")
    assert await table.rows() == [(1,), (1,), (2,)]


async def test_delete_insert_replaces_the_range_of_its_cursor(table):
    order = {"strategy": "delete_insert", "cursor_column": "day"}
    await table.load([{"day": day, "v": "old"} for day in range(1, 6)], **order)
    await table.load([{"day": 4, "v": "new"}, {"day": 2, "v": "new"}], **order)
    assert await table.rows() == [(1, "old"), (2, "new"), (4, "new"), (5, "old")]


async def test_merge_updates_what_has_the_key_and_inserts_the_rest(table):
    order = {"strategy": "merge", "unique_key": ("id", "Kind")}
    await table.load(
        [{"id": 1, "kind": "a", "v": 1, "kept": "x"}, {"id": 1, "kind": "b", "v": 2, "kept": "y"}], **order
    )
    await table.load([{"id": 1, "kind": "b", "v": 20}, {"id": 2, "kind": "a", "v": 30}], **order)
    assert await table.rows() == [(1, "a", 1, "x"), (1, "b", 20, "y"), (2, "a", 30, None)]


@pytest.mark.parametrize("times", [1, 2])
async def test_of_several_rows_with_one_key_the_last_one_is_merged(table, times):
    for _ in range(times):
        await table.load(
            [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}], [{"id": 1, "v": "c"}], strategy="merge", unique_key=("id",)
        )
    assert await table.rows() == [(1, "c"), (2, "b")]


async def test_of_several_rows_with_one_key_the_one_with_the_highest_cursor_is_merged(table):
    rows = [{"id": 1, "at": 5, "v": "new"}, {"id": 1, "at": 3, "v": "old"}, {"id": 1, "at": None, "v": "none"}]
    await table.load(rows, strategy="merge", unique_key=("id",), cursor_column="at")
    assert await table.rows() == [(1, 5, "new")]


async def test_a_merge_of_keys_alone_adds_those_that_are_missing(table):
    for ids in ((1, 2), (2, 3)):
        await table.load([{"id": id} for id in ids], strategy="merge", unique_key=("id",))
    assert await table.rows() == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (
            {"strategy": "merge", "unique_key": ("id",)},
            "column id is NULL in 1 of 2 rows, but it belongs to the unique key",
        ),
        (
            {"strategy": "delete_insert", "cursor_column": "id"},
            "column id is NULL in 1 of 2 rows, but it is the cursor column",
        ),
        ({"strategy": "merge", "unique_key": ("key",)}, "unique_key key: the rows have no such column"),
        ({"strategy": "append", "cursor_column": "at"}, "cursor_column at: the rows have no such column"),
    ],
)
async def test_rows_without_the_columns_of_their_strategy_are_refused(table, order, message):
    with pytest.raises(WarehouseError, match=message):
        await table.load([{"id": 1}, {"id": None}], **order)
    assert await relations_of(table) == {"_sqlbuild_commits"}


# -- values -----------------------------------------------------------------------------------------------------------

UTC = datetime.UTC
VALUES = {
    "flag": (True, "BOOLEAN"),
    "number": (-(2**63), "BIGINT"),
    "large": (2**100, "DECIMAL(38,0)"),
    "ratio": (0.1, "DOUBLE"),
    "price": (decimal.Decimal("-12.3450"), "DECIMAL(38,4)"),
    "name": ("it's \"ü\" \\ \n 注文 {'a'}", "VARCHAR"),
    "data": (b"\x00\xff'\\x", "BLOB"),
    "day": (datetime.date(1600, 2, 29), "DATE"),
    "time": (datetime.time(23, 59, 59, 999_999), "TIME"),
    "at": (datetime.datetime.fromisoformat("2024-05-01T12:00:00.000001"), "TIMESTAMP"),
    "at_utc": (datetime.datetime(2024, 5, 1, 12, tzinfo=UTC), "TIMESTAMP WITH TIME ZONE"),
    "took": (datetime.timedelta(days=-1, seconds=5, microseconds=7), "INTERVAL"),
    "key": (uuid.UUID(int=7), "UUID"),
    "lines": ([{"sku": "ä", "n": [1, None]}], "JSON"),
    "tags": ({"a": {"b": 1.5}, "at": datetime.date(2024, 1, 1)}, "JSON"),
}


async def test_every_kind_of_value_arrives_as_it_is(table):
    row = {name: value for name, (value, _) in VALUES.items()}
    await table.load([row, dict.fromkeys(row)])
    assert await table.types() == table.words({name: type_ for name, (_, type_) in VALUES.items()})
    found = dict(zip(row, (await table.rows("SELECT * FROM dev.orders WHERE name IS NOT NULL"))[0], strict=True))
    assert json.loads(found.pop("lines")) == [{"sku": "ä", "n": [1, None]}]
    assert json.loads(found.pop("tags")) == {"a": {"b": 1.5}, "at": "2024-01-01"}
    assert found.pop("large") == 2**100
    assert found.pop("at_utc").astimezone(UTC) == row["at_utc"]
    assert found == {name: row[name] for name in found}


async def test_floats_without_a_value_of_their_own_arrive(table):
    await table.load([{"v": float("nan")}, {"v": float("inf")}, {"v": float("-inf")}])
    assert [str(value) for (value,) in await table.rows("SELECT v FROM dev.orders ORDER BY 1")] == [
        "-inf",
        "inf",
        "nan",
    ]


async def test_what_a_column_cannot_hold_is_refused_by_its_name(table):
    with pytest.raises(WarehouseError, match="column v holds text with a lone surrogate"):
        await table.load([{"v": "\ud800"}])


async def test_a_whole_number_of_any_size_arrives_or_is_refused(table):
    if table.is_postgres:
        await table.load([{"v": 1}], [{"v": 10**40}])
        assert await table.rows() == [(1,), (10**40,)]
        return
    with pytest.raises(WarehouseError, match="column v holds a whole number of more than 38 digits"):
        await table.load([{"v": 10**40}])


async def test_arrow_data_keeps_its_types_nested_ones_too(table):
    data = pyarrow.table(
        {
            "id": pyarrow.array([1, 2], pyarrow.int32()),
            "line": pyarrow.array([{"sku": "a", "n": 1}, None]),
            "tags": pyarrow.array([["x"], []]),
            "kind": pyarrow.array(["a", "b"]).dictionary_encode(),
        }
    )
    await table.load(data)
    types = {"id": "INTEGER", "line": "STRUCT(sku VARCHAR, n BIGINT)", "tags": "VARCHAR[]", "kind": "VARCHAR"}
    assert await table.types() == table.words(types)
    first, second = await table.rows()
    assert (second, first[2:]) == ((2, None, [], "b"), (["x"], "a"))
    assert (json.loads(first[1]) if table.is_postgres else first[1]) == {"sku": "a", "n": 1}


@pytest.mark.parametrize("name", ["select", "two words", 'with "quotes"', "it's; --", "übersicht", "a.b"])
async def test_names_of_columns_survive(table, name):
    for strategy in ("append", "merge"):
        await table.load([{name: 1, "v": 2}], strategy=strategy, unique_key=(name,) if strategy == "merge" else ())
    assert await table.types() == table.words({name: "BIGINT", "v": "BIGINT"})
    assert await table.loading.highest(table.connection, ORDERS, name) == 1


# -- columns that come, change and go ---------------------------------------------------------------------------------


async def test_rows_may_lack_columns_and_bring_new_ones(table):
    await table.load([{"a": 1}, {"b": "x"}], [{"c": True}, {"a": 2, "c": False}])
    assert await table.rows("SELECT * FROM dev.orders") == [
        (1, None, None),
        (None, "x", None),
        (None, None, True),
        (2, None, False),
    ]


async def test_new_columns_are_added_to_the_table(table):
    await table.load([{"id": 1}], strategy="append")
    loaded = await table.load([{"id": 2, "name": "x"}], strategy="append")
    assert loaded.added_columns == ("name",)
    assert await table.rows() == [(1, None), (2, "x")]


async def test_values_of_one_load_find_a_common_type_wherever_its_batches_end(table):
    first, second = (
        {"n": 1, "d": datetime.date(2024, 1, 1), "p": 7},
        {"n": 0.5, "d": datetime.datetime.fromisoformat("2024-01-01T06:00"), "p": decimal.Decimal("0.25")},
    )
    for batches in ([[first, second]], [[first], [second]], [[second], [first]]):
        await table.load(*batches)
        assert await table.types() == table.words({"n": "DOUBLE", "d": "TIMESTAMP", "p": "DECIMAL(38,2)"})
        assert await table.rows("SELECT n, p FROM dev.orders ORDER BY 1") == [
            (0.5, decimal.Decimal("0.25")),
            (1.0, decimal.Decimal(7)),
        ]


async def test_types_of_the_table_only_become_wider(table):
    small = pyarrow.table({"n": pyarrow.array([1], pyarrow.int16()), "f": pyarrow.array([0.5], pyarrow.float32())})
    await table.load(small, strategy="append")
    loaded = await table.load([{"n": 2**40, "f": 0.25}], strategy="append")
    assert loaded.widened_columns == tuple(map(table.told, ("n: SMALLINT to BIGINT", "f: FLOAT to DOUBLE")))
    loaded = await table.load(small, strategy="append")
    assert loaded.widened_columns == ()
    assert await table.types() == table.words({"n": "BIGINT", "f": "DOUBLE"})
    assert await table.rows() == [(1, 0.5), (1, 0.5), (2**40, 0.25)]


async def test_what_does_not_fit_names_column_and_both_types_and_changes_nothing(table):
    await table.load([{"id": 1, "v": 1}], strategy="append")
    for value, given in (("x", "VARCHAR"), (1.5, "DOUBLE"), (True, "BOOLEAN")):
        message = table.told(f"column v: dev.orders has BIGINT, the new rows have {given}")
        with pytest.raises(WarehouseError, match=message) as raised:
            await table.load([{"id": 2, "v": value, "new": 1}], strategy="append")
        assert table.told("declare `type: BIGINT` for the column") in raised.value.help
    assert await table.rows() == [(1, 1)]
    assert await table.commits() == ["r1"]
    assert await relations_of(table) == {"orders", "_sqlbuild_commits"}


async def test_two_types_in_one_load_name_column_and_both_types(table):
    message = table.told("column v: earlier rows of this load are BIGINT, later ones VARCHAR")
    with pytest.raises(WarehouseError, match=message):
        await table.load([{"v": 1}], [{"v": "x"}])


async def test_a_column_without_values_is_left_out_until_it_has_a_type(table):
    loaded = await table.load([{"id": 1, "v": None}], strategy="append")
    assert (loaded.left_out_columns, await table.types()) == (("v",), table.words({"id": "BIGINT"}))
    await table.load([{"id": 2, "v": "x"}], strategy="append")
    loaded = await table.load([{"id": 3, "v": None}], strategy="append")
    assert loaded.left_out_columns == ()
    assert await table.rows() == [(1, None), (2, "x"), (3, None)]


async def test_a_replaced_table_keeps_the_type_of_a_column_that_has_no_values_now(table):
    await table.load([{"id": 1, "v": 1.5}])
    await table.load([{"id": 2, "v": None}])
    assert await table.types() == table.words({"id": "BIGINT", "v": "DOUBLE"})


async def test_rows_before_the_first_value_are_not_lost(table):
    await table.load([{"v": None}, {"v": None}], [{"v": 1}], [{"v": None}])
    assert await table.rows("SELECT * FROM dev.orders") == [(None,), (None,), (1,), (None,)]


async def test_rows_without_any_value_are_refused(table):
    with pytest.raises(WarehouseError, match="all values of all 2 rows are NULL"):
        await table.load([{"v": None}, {"v": None}])


# -- declared columns -------------------------------------------------------------------------------------------------

DECLARED = (Column(name="id", type="int"), Column(name="Price", type="decimal(10, 2)"), Column(name="note"))


async def test_values_are_cast_to_declared_types_in_the_declared_order(table):
    await table.load(
        [{"note": "x", "price": "1.50", "id": 7}, {"id": "8", "price": 2, "note": None}][:1], columns=DECLARED
    )
    assert await table.types() == table.words({"id": "INTEGER", "Price": "DECIMAL(10,2)", "note": "VARCHAR"})
    await table.load([{"id": "8", "price": 2}], columns=DECLARED, strategy="append")
    assert await table.rows("SELECT id, price, note FROM dev.orders ORDER BY 1") == [
        (7, decimal.Decimal("1.50"), "x"),
        (8, decimal.Decimal("2.00"), None),
    ]


async def test_json_is_cast_to_a_declared_nested_type(table):
    person = "STRUCT(name VARCHAR, age INTEGER)"
    if table.is_postgres:
        person = "dev.person"
        await table.connection.execute("CREATE TYPE dev.person AS (name TEXT, age INTEGER)")
    columns = (Column(name="tags", type="INTEGER[]"), Column(name="who", type=person))
    await table.load([{"tags": [1, 2], "who": {"age": 3, "name": "x"}}], columns=columns)
    ((tags, who),) = await table.rows()
    assert (tags, dict(who)) == ([1, 2], {"name": "x", "age": 3})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("abc", r"column id: 'abc' \(VARCHAR\) is no INTEGER, the declared type \(row 1\)"),
        (2**40, r"column id: '1099511627776' \(BIGINT\) is no INTEGER"),
        (1.5, "column id: 1.5 is no whole number, the declared type is INTEGER"),
    ],
)
async def test_a_value_that_cannot_be_cast_is_told_with_its_column(table, value, message):
    with pytest.raises(WarehouseError, match=table.told(message)):
        await table.load([{"id": value}, {"id": value}], columns=DECLARED)


async def test_floats_that_are_whole_fit_whole_numbers(table):
    await table.load([{"id": 3.0}, {"id": None}], columns=DECLARED)
    assert await table.rows("SELECT id FROM dev.orders ORDER BY 1") == [(3,), (None,)]


async def test_a_declared_type_may_change_the_table_where_nothing_gets_lost(table):
    await table.load([{"id": 1, "v": 1}], strategy="append")
    loaded = await table.load(
        [{"id": 2, "v": 0.5}], columns=(Column(name="v", type="DOUBLE PRECISION"),), strategy="append"
    )
    assert loaded.widened_columns == (table.told("v: BIGINT to DOUBLE"),)
    with pytest.raises(WarehouseError, match=table.told("dev.orders has DOUBLE, the new rows have VARCHAR")):
        await table.load([{"id": 3, "v": "x"}], columns=(Column(name="v", type="TEXT"),), strategy="append")


async def test_an_enforced_contract_allows_no_other_column_and_no_null_where_none_may_be(table):
    enforced = {"columns": (Column(name="id", type="INTEGER", nullable=False), Column(name="v")), "enforced": True}
    await table.load([{"id": 1, "v": "x"}], **enforced)
    with pytest.raises(WarehouseError, match="the column extra is not declared, and the contract is enforced"):
        await table.load([{"id": 1, "extra": None}], **enforced)
    with pytest.raises(WarehouseError, match="column id is NULL in 1 of 2 rows, but it is declared not nullable"):
        await table.load([{"id": 1}, {"v": "x"}], **enforced)
    assert await table.rows() == [(1, "x")]


# -- no rows ----------------------------------------------------------------------------------------------------------


async def test_no_rows_make_an_empty_table_of_what_is_declared(table):
    loaded = await table.load(columns=DECLARED)
    assert (loaded.rows, loaded.has_table) == (0, True)
    assert await table.types() == table.words({"id": "INTEGER", "Price": "DECIMAL(10,2)"})


async def test_no_rows_and_nothing_declared_make_no_table_and_are_no_error(table):
    loaded = await table.load()
    assert (loaded.rows, loaded.has_table) == (0, False)
    assert await table.commits() == ["r1"]
    assert not await table.loading.has_relation(table.connection, ORDERS)


async def test_an_arrow_table_without_rows_tells_the_columns(table):
    await table.load(pyarrow.table({"id": pyarrow.array([], pyarrow.int64())}))
    assert await table.types() == table.words({"id": "BIGINT"})


async def test_no_rows_empty_a_table_that_is_replaced_and_leave_any_other(table):
    await table.load([{"id": 1, "v": "x"}])
    for strategy in ("append", "delete_insert", "merge"):
        await table.load(strategy=strategy, cursor_column="id", unique_key=("id",))
        assert await table.rows() == [(1, "x")]
    await table.load(columns=DECLARED[:1])
    assert (await table.rows(), await table.types()) == ([], table.words({"id": "BIGINT", "v": "VARCHAR"}))
    assert await relations_of(table) == {"orders", "_sqlbuild_commits"}


# -- all or nothing ---------------------------------------------------------------------------------------------------


async def test_the_marker_stands_in_the_loads_own_transaction(table):
    await table.load([{"id": 1}])
    ((*found, at),) = await table.rows("SELECT run_id, node_id, part, attempt, committed_at FROM dev._sqlbuild_commits")
    assert found == ["r1", "loader:orders", "load", 1]
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert abs(now - at) < datetime.timedelta(minutes=10)
    await table.connection.execute("DROP TABLE dev._sqlbuild_commits")
    for strategy in WriteStrategy:
        with pytest.raises(WarehouseError, match="_sqlbuild_commits"):
            await table.load([{"id": 2}], strategy=strategy, cursor_column="id", unique_key=("id",))
    assert await table.rows() == [(1,)]
    assert await relations_of(table) == {"orders"}


async def test_rows_that_are_staged_are_not_in_the_table_and_can_be_discarded(table):
    await table.load([{"id": 1}])
    load = table.loading.begin(LoadOrder(relation=ORDERS, staging="_staging", strategy=WriteStrategy.TABLE))
    await load.add(table.connection, batch_of_rows([{"id": 2}], 1))
    assert await table.rows() == [(1,)]
    await load.discard(table.connection)
    await load.discard(table.connection)
    assert await relations_of(table) == {"orders", "_sqlbuild_commits"}


async def test_what_an_earlier_process_left_in_staging_is_replaced(table):
    load = table.loading.begin(LoadOrder(relation=ORDERS, staging="_staging", strategy=WriteStrategy.TABLE))
    await load.add(table.connection, batch_of_rows([{"old": 2}], 1))
    await table.load([{"id": 1}])
    assert await table.rows() == [(1,)]


async def test_a_view_in_the_place_of_the_table_is_an_error(table):
    await table.connection.execute("CREATE VIEW dev.orders AS SELECT 1 AS id")
    with pytest.raises(WarehouseError, match=r"dev.orders is a view, and a loader fills a table"):
        await table.load([{"id": 1}])


async def test_an_apply_that_is_cancelled_before_it_begins_leaves_the_table_as_it_was(table):
    load, marker = await staged_append(table)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await load.apply(table.connection, marker)
    assert (await table.rows(), await table.commits()) == ([(1,)], ["r1"])


async def test_an_apply_that_is_cancelled_on_its_way_is_applied_wholly_or_not_at_all(table):
    load, marker = await staged_append(table)
    applied = []

    async def apply():
        applied.append(await load.apply(table.connection, marker))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(apply)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    found = (await table.rows(), await table.commits())
    assert found == (([(1,), (2,)], ["r1", "r2"]) if applied else ([(1,)], ["r1"]))


async def staged_append(table):
    await table.load([{"id": 1}], strategy="append")
    load = table.loading.begin(LoadOrder(relation=ORDERS, staging="_staging", strategy=WriteStrategy.APPEND))
    await load.add(table.connection, batch_of_rows([{"id": 2}], 1))
    return load, CommitMarker(relation=COMMITS, run_id="r2", node=NodeId("loader:orders"), part="load", attempt=1)


async def test_readers_see_the_old_rows_until_the_load_is_applied(table):
    await table.load([{"id": id} for id in range(5)])
    open_result = await table.connection.query("SELECT * FROM dev.orders")
    await table.load([{"id": 9}])
    assert len(await open_result.fetch()) == 5


# -- the highest value ------------------------------------------------------------------------------------------------


async def test_the_highest_value_is_none_without_rows_and_without_a_table(table):
    highest = table.loading.highest
    assert await highest(table.connection, ORDERS, "id") is None
    await table.load(columns=DECLARED)
    assert await highest(table.connection, ORDERS, "id") is None
    await table.load([{"id": 5}, {"id": 7}], columns=DECLARED)
    assert await highest(table.connection, ORDERS, "ID") == 7
    with pytest.raises(WarehouseError, match=r"dev.orders has no column at"):
        await highest(table.connection, ORDERS, "at")
