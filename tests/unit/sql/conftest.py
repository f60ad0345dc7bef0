"""A DuckDB with a few tables, and the analysis of queries over them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import duckdb
import pytest

from sqlbuild.sql.analyse_query import analyse_query
from sqlbuild.sql.query_analysis import InputReference, QueryAnalysis, QueryInput

TABLES = {
    "raw.orders": {
        "id": "INTEGER",
        "customer_id": "INTEGER",
        "amount": "DECIMAL(10,2)",
        "status": "VARCHAR",
        "created_at": "TIMESTAMP",
        "items": "INTEGER[]",
    },
    "raw.customers": {"id": "INTEGER", "name": "VARCHAR", "country": "VARCHAR", "email": "VARCHAR"},
    "stg.payments": {"order_id": "INTEGER", "paid": "DECIMAL(10,2)", "at": "TIMESTAMP", "meta": "JSON"},
    "stg.a": {"x": "INTEGER", "y": "INTEGER"},
    "stg.b": {"x": "INTEGER", "z": "INTEGER"},
    "stg.wide": {
        "X": "BIGINT",
        "Z": "BIGINT",
        "w": "DOUBLE",
        "d": "DECIMAL(12,4)",
        "s": "STRUCT(p INTEGER, q VARCHAR)",
        "l": "INTEGER[]",
    },
}


@pytest.fixture(scope="session")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    for schema in sorted({name.partition(".")[0] for name in TABLES}):
        connection.execute(f"CREATE SCHEMA {schema}")
    for name, columns in TABLES.items():
        listed = ", ".join(f'"{column}" {type_name}' for column, type_name in columns.items())
        connection.execute(f"CREATE TABLE {name} ({listed})")
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def tables() -> tuple[str, ...]:
    return tuple(TABLES)


@pytest.fixture(scope="session")
def analyse() -> Callable[..., QueryAnalysis]:
    """Analyses a query in which the tables are named as `schema.table`, as if each name were a reference."""
    return _analyse


def _analyse(sql: str, dialect: str = "duckdb", *, unknown: frozenset[str] = frozenset()) -> QueryAnalysis:
    references: list[InputReference] = []
    inputs: list[QueryInput] = []
    for name, columns in TABLES.items():
        schema, _, table = name.partition(".")
        found = list(re.finditer(rf'"?\b{schema}"?\."?{table}\b"?(?!\.)', sql))
        if not found:
            continue
        known = name not in unknown
        references += [InputReference(each.start(), each.end(), len(inputs)) for each in found]
        inputs.append(
            QueryInput(label=name, alias=table, columns=tuple(columns.items()) if known else (), complete=known)
        )
    return analyse_query(sql, references, inputs, dialect)
