"""Every type of PostgreSQL in Arrow batches and in files: the value exactly, or its text."""

from __future__ import annotations

import datetime
import decimal
import json
import string
import struct
import uuid

import anyio.from_thread
import duckdb
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.settings import Connection
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.exporting import CopyOrder
from sqlbuild.warehouses.postgres import PostgresWarehouse
from sqlbuild.warehouses.postgres_copying import PostgresCopying

UTC = datetime.UTC
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.text(
    "\",\\{}[]'\n\r\t N", max_size=5
)
JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
).map(json.dumps)
INTERVALS = st.builds(
    "{} months {} days {} microseconds".format,
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63) // 1000 + 1, 2**63 // 1000 - 1),
)
VALUES = {
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "numeric(12,2)": st.decimals(-(10**10) + 1, 10**10 - 1, places=2),
    "numeric(38,10)": st.decimals(-(10**28) + 1, 10**28 - 1, places=10),
    "numeric": st.decimals(allow_nan=True, allow_infinity=False),
    "real": st.floats(width=32),
    "double precision": st.floats(),
    "boolean": st.booleans(),
    "text": TEXT,
    "varchar(20)": TEXT,
    "bytea": st.binary(max_size=8),
    "uuid": st.uuids(),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(
        datetime.datetime(1, 1, 2),  # noqa: DTZ001 - as Hypothesis wants it
        datetime.datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    "interval": INTERVALS,
    "json": JSON_TEXT,
    "mood": st.sampled_from(["sad", "it's, {ok}"]),
    "price": st.decimals(-99, 99, places=2),
}
ROW = st.fixed_dictionaries(
    {name: st.none() | values for name, values in VALUES.items()}
    | {f"{name}[]": st.none() | st.lists(st.none() | values, max_size=3) for name, values in VALUES.items()}
)
IN_FILES = {
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "numeric(12,2)": "DECIMAL(12,2)",
    "numeric(38,10)": "DECIMAL(38,10)",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "bytea": "BLOB",
    "uuid": "UUID",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "json": "JSON",
    "price": "DECIMAL(4,2)",
}
"""The others are VARCHAR."""

# Nothing that a session, a role or a database may have set changes a value.
OTHER_SETTINGS = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "TimeZone": "Asia/Kathmandu",
    "standard_conforming_strings": "off",
}


class Reader:
    """Reads a query as an Arrow table and from a Parquet file; from a test that is not async."""

    def __init__(self, portal, connection, folder) -> None:
        self._portal = portal
        self._connection = connection
        self._path = str(folder / "x.parquet")

    def arrow(self, sql, parameters=None) -> pyarrow.Table:
        return self._portal.call(self._arrow, sql, parameters)

    async def _arrow(self, sql, parameters) -> pyarrow.Table:
        result = await self._connection.query(sql, parameters, arrow=True)
        batches = []
        while (batch := await result.fetch_batch(1_000)) is not None:
            batches.append(batch)
        return pyarrow.Table.from_batches(batches)

    def rows_of_file(self, sql, select="*"):
        """Rows and types of what DuckDB reads from the file."""
        order = CopyOrder(rows=sql, path=self._path, format=ExportFormat.PARQUET)
        self._portal.call(PostgresCopying().copy_to_file, self._connection, order)
        relation = duckdb.sql(f"SELECT {select} FROM read_parquet(?)", params=[self._path])
        return relation.fetchall(), [str(type_) for type_ in relation.types]

    def execute(self, sql, parameters=None):
        self._portal.call(self._connection.execute, sql, parameters)


@pytest.fixture(scope="module", params=["its own settings", "other settings"])
def reader(request, postgres_server, tmp_path_factory):
    """One for all tests of this file: none of them leaves anything in the database but tables of its own."""
    options = {"settings": OTHER_SETTINGS} if request.param == "other settings" else {}
    with (
        postgres_server.new_database() as name,
        anyio.from_thread.start_blocking_portal("asyncio") as portal,
    ):
        options["dsn"] = postgres_server.dsn(name)
        warehouse = PostgresWarehouse(Connection(name="local", adapter="postgres", options=options))
        portal.call(warehouse.open)
        connection = warehouse.connect()
        reader = Reader(portal, connection, tmp_path_factory.mktemp("types"))
        reader.server = int(postgres_server.version.partition(".")[0])
        reader.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s, {ok}')")
        reader.execute("CREATE DOMAIN price AS numeric(4,2)")
        yield reader
        portal.call(connection.close)
        portal.call(warehouse.close)


def expected(type_, value):
    """As Arrow gives it."""
    if isinstance(value, list):
        return [expected(type_.removesuffix("[]"), each) for each in value]
    if value is None:
        return None
    match type_:
        case "real" | "double precision":
            return struct.pack("d", value) if value == value else "NaN"
        case "numeric":
            return "NaN" if value.is_nan() else decimal.Decimal(value)
        case "interval":
            months, _, days, _, us, _ = value.split()
            return int(months), int(days), int(us) * 1000
    return value


def found(type_, value):
    if isinstance(value, list):
        return [found(type_.removesuffix("[]"), each) for each in value]
    if value is None:
        return None
    match type_:
        case "real" | "double precision":
            return struct.pack("d", value) if value == value else "NaN"
        case "numeric":
            return value if value == "NaN" else decimal.Decimal(value)
        case "interval":
            return tuple(value)
        case "uuid":
            return uuid.UUID(str(value))
    return value


def asked_as(type_):
    """What asyncpg is given; it takes no months."""
    return f"{type_.replace('interval', 'text')}::{type_}"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROW, min_size=1, max_size=3))
def test_values_come_back_as_they_were(reader, rows):
    if reader.server < 15:
        pytest.skip("older servers do not take lists of domains from asyncpg, nor intervals of so many microseconds")
    selects = [
        f"SELECT {number} AS n, {', '.join(f'?::{asked_as(type_)}' for type_ in ROW_TYPES)}"
        for number in range(len(rows))
    ]
    sql = " UNION ALL ".join(selects) + " ORDER BY n"
    table = reader.arrow(sql, [row[type_] for row in rows for type_ in ROW_TYPES])
    for number, row in enumerate(rows):
        for column, type_ in enumerate(ROW_TYPES, 1):
            value = table.column(column)[number].as_py()
            assert found(type_, value) == expected(type_, row[type_]), type_


ROW_TYPES = [*VALUES, *(f"{name}[]" for name in VALUES)]


def test_types_in_files_are_those_of_the_columns(reader):
    sql = "SELECT " + ", ".join(f'NULL::{type_} AS "{type_}"' for type_ in ROW_TYPES)
    rows, types = reader.rows_of_file(sql)
    assert rows == [(None,) * len(ROW_TYPES)]
    told = dict(zip(ROW_TYPES, types, strict=True))
    assert told == {
        type_: IN_FILES.get(type_.removesuffix("[]"), "VARCHAR") + type_[-2:] * type_.endswith("[]")
        for type_ in ROW_TYPES
    }


@pytest.mark.parametrize(
    ("value", "check"),
    [
        ("date 'infinity'", "isinf(v) AND v > '2000-01-01'"),
        ("date '-infinity'", "isinf(v) AND v < '2000-01-01'"),
        ("date '0044-03-15 BC'", "v = '0044-03-15 (BC)'::date"),
        ("date '4714-11-24 BC'", "v = '4714-11-24 (BC)'::date"),
        ("date '5874897-12-31'", "v = '5874897-12-31'::date"),
        ("timestamp 'infinity'", "isinf(v)"),
        ("timestamp '-infinity'", "isinf(v)"),
        ("timestamp '0044-03-15 01:02:03.000004 BC'", "epoch_us(v) = -63517820276999996"),
        ("timestamp '294246-12-31 23:59:59.999999'", "epoch_us(v) = 9223371244799999999"),
        ("timestamptz 'infinity'", "isinf(v)"),
        ("timestamptz '0044-03-15 01:02:03+00:17:30 BC'", "epoch_us(v) = -63517821327000000"),
        ("timestamptz '1800-01-01 00:00:00+00:17:30'", "epoch_us(v) = -5364663450000000"),
        ("time '24:00:00'", "epoch_us(v) = 86400000000"),
        ("oid '4294967295'", "v = 4294967295"),
        ("'ab '::char(4)", "v = 'ab  '"),
        ("'a'::\"char\"", "v = 'a'"),
        ("'x'::name", "v = 'x'"),
        ("1e40::numeric(100,2)", "v = '1' || repeat('0', 40) || '.00'"),
        ("'Infinity'::numeric", "v = 'Infinity'"),
        ("int4range(1, 5)", "v = '[1,5)'"),
        ("'10.0.0.1/8'::inet", "v = '10.0.0.1/8'"),
        ("point '(1,2)'", "v = '(1,2)'"),
        ("timetz '01:02:03+05:30'", "v = '01:02:03+05:30'"),
        ("B'101'", "v = '101'"),
        ("ROW(1, 'x')", "v = '(1,x)'"),
        ("'1 2'::int2vector", "v = '1 2'"),
        ("jsonb '{\"a\": 1e400}'", "typeof(v) = 'JSON' AND starts_with(v::VARCHAR, '{\"a\": 1000')"),
        ("ARRAY['ab '::char(4), NULL]", "v = ['ab  ', NULL]"),
        ("ARRAY['0044-03-15 BC'::date]", "v = ['0044-03-15 (BC)'::date]"),
        ("ARRAY['infinity'::timestamptz]", "isinf(v[1])"),
        ("'[5:6]={7,8}'::int[]", "v = [7, 8]"),
        ("ARRAY[int4range(1, 5)]", "v = ['[1,5)']"),
        ("'{}'::mood[]", "len(v) = 0"),
        ("interval '-1 mon 2 days -0.000001 s'", "v = '-1 mons +2 days -00:00:00.000001'"),
    ],
)
def test_values_beyond_those_of_python_are_what_duckdb_has_for_them(reader, value, check):
    rows, _ = reader.rows_of_file(f"SELECT {value} AS v", f"({check}), v::VARCHAR")
    assert rows[0][0], rows


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'NaN'::numeric(5,2)", r"column v \(numeric\(5,2\)\): NaN cannot be written as DECIMAL\(5,2\)"),
        ("timestamp '294276-12-31'", "294276-12-31"),
        ("ARRAY[[1, 2], [3, 4]]", "column v holds an array of more than one dimension"),
        ("ARRAY[['a'], ['b']]", "column v holds an array of more than one dimension"),
        ("json E'\"\\\\ud800\"'", "cannot be written as JSON"),
    ],
)
def test_a_value_that_its_type_cannot_hold_is_an_error_that_says_what_to_do(reader, value, message):
    with pytest.raises(WarehouseError, match=message) as raised:
        reader.arrow(f"SELECT {value} AS v")
    assert "text" in raised.value.help


def test_a_query_keeps_the_time_zone_and_the_order_of_day_and_month_of_its_session(reader):
    table = reader.arrow("SELECT '2024-01-01 23:00+00'::timestamptz::date AS d, '01/02/2024'::date AS other")
    other = table.to_pylist()[0]["other"]
    assert str(table["d"][0]) == ("2024-01-02" if other.day == 1 else "2024-01-01")


@pytest.mark.parametrize("statement", ["SHOW DateStyle", "EXPLAIN SELECT 1", "SELECT", ";", "DROP TABLE nothing"])
def test_what_gives_no_rows_to_copy_is_refused(reader, statement):
    with pytest.raises(WarehouseError, match=r"not of (?:SHOW|EXPLAIN|DROP)|gives no columns|no SQL|empty"):
        reader.arrow(statement)


def test_parameters_stand_where_a_literal_would(reader):
    sql = "SELECT '$1' AS a, $1::text AS b, /* $2 */ ($2::int[])[1] + 1 AS c, $3 || 'x' AS d LIMIT $4 -- $1"
    table = reader.arrow(sql, ["it's \\ $2 \"", [41], string.printable.replace("\0", ""), 1])
    assert table.to_pylist() == [{"a": "$1", "b": "it's \\ $2 \"", "c": 42, "d": string.printable + "x"}]


def test_rows_that_a_statement_changes_are_read_and_changed_once(reader):
    reader.execute("CREATE TABLE t (n int, tags text[])")
    table = reader.arrow("INSERT INTO t VALUES (1, '{a}'), (2, NULL) RETURNING tags, n")
    assert table.to_pylist() == [{"tags": ["a"], "n": 1}, {"tags": None, "n": 2}]
    assert reader.arrow("TABLE t").num_rows == 2
