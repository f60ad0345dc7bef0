"""What is inferred of queries for PostgreSQL, held against what PostgreSQL itself says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sqlbuild.sql.analyse_query import analyse_query
from sqlbuild.sql.query_analysis import InputReference, QueryInput

TABLES = {
    "raw.orders": {
        "id": "integer",
        "customer_id": "integer",
        "amount": "numeric(10,2)",
        "status": "text",
        "code": "varchar(5)",
        "paid": "boolean",
        "created_at": "timestamp",
    },
    "raw.customers": {"id": "int8", "name": "text", "status": "varchar"},
    "raw.wide": {
        "s": "smallint",
        "i": "int",
        "b": "bigint",
        "n": "numeric",
        "n92": "decimal(9, 2)",
        "r": "real",
        "d": "double precision",
        "v": "varchar(10)",
        "v20": "character varying(20)",
        "t": "text",
        "c": "char(3)",
        "day": "date",
        "at": "timestamp",
        "at3": "timestamp(3)",
        "stamp": "timestamptz",
        "span": "interval",
        "ids": "int[]",
        "data": "jsonb",
    },
    "raw.odd": {'Odd Name': "integer", "Upper": "text", "raw": "bytea", "span_of": "int4range"},
    "raw.moods": {"status": "text"},
}  # fmt: skip
_DESCRIBED = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
WHERE a.attrelid = 'described'::regclass AND a.attnum > 0 ORDER BY a.attnum
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def described(make_postgres, postgres_server):
    """Names and types of the columns of a query."""
    if int(postgres_server.version.partition(".")[0]) < 14:
        pytest.skip("some functions of these queries came with PostgreSQL 13 and 14")
    warehouse = make_postgres()
    await warehouse.open()
    connection = warehouse.connect()
    await connection.execute("CREATE SCHEMA raw; CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN citext AS text")
    for name, columns in TABLES.items():
        listed = ", ".join(f'"{column}" {type_}' for column, type_ in columns.items())
        await connection.execute(f"CREATE TABLE {name} ({listed})")

    async def describe(sql: str) -> list[tuple[str, str]]:
        await connection.execute("DROP TABLE IF EXISTS described")
        await connection.execute(
            f"CREATE TABLE described AS {sql.removesuffix(' for update skip locked')} WITH NO DATA"
        )
        return await (await connection.query(_DESCRIBED)).fetch()

    yield describe
    await connection.close()
    await warehouse.close()


def inferred(sql: str):
    references: list[InputReference] = []
    inputs: list[QueryInput] = []
    for name, columns in TABLES.items():
        found = list(re.finditer(rf"\b{name}\b", sql))
        if found:
            references += [InputReference(each.start(), each.end(), len(inputs)) for each in found]
            alias = name.partition(".")[2]
            inputs.append(QueryInput(label=name, alias=alias, columns=tuple(columns.items()), complete=True))
    return analyse_query(sql, references, inputs, "postgres")


async def test_what_is_inferred_is_what_postgres_describes(described):
    text = Path(__file__).with_name("accepted_by_postgres.sql").read_text(encoding="utf-8")
    wrong: dict[str, object] = {}
    known = types = 0
    for sql in (line for line in text.splitlines() if line and not line.startswith("--")):
        real = await described(sql)
        found = inferred(sql)
        if found.findings:
            wrong[sql] = found.findings
        elif found.columns is not None:
            known += 1
            if [column.name for column in found.columns] != [name for name, _ in real]:
                wrong[sql] = ([column.name for column in found.columns], [name for name, _ in real])
            for column, (name, type_) in zip(found.columns, real, strict=False):
                types += column.type is not None
                if column.type not in (None, type_):
                    wrong[f"{name}: {sql}"] = (column.type, type_)
    assert wrong == {}
    assert known > 50
    assert types > 250
