from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sqlbuild.sql.analyse_query import analyse_query
from sqlbuild.sql.query_analysis import InputReference, QueryInput

FIXTURE = Path(__file__).parents[2] / "fixtures/nullability.sql"
LINES = [line for line in FIXTURE.read_text().splitlines() if not line.startswith("--")]
COLUMNS = {
    "t": {"id": "INTEGER", "k": "INTEGER", "v": "INTEGER", "name": "VARCHAR"},
    "u": {"id": "INTEGER", "t_id": "INTEGER", "w": "INTEGER"},
}
NEVER_NULL = {"t": {"id": False, "k": False, "name": False}, "u": {"id": False, "t_id": False}}
MEANING = {"never": False, "can": True, "may": True, "?": None}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (id INTEGER NOT NULL, k INTEGER NOT NULL, v INTEGER, name VARCHAR NOT NULL)")
        connection.execute("INSERT INTO t VALUES (1, 0, NULL, 'a'), (2, 2, 5, 'b'), (3, 2, NULL, '7')")
        connection.execute("CREATE TABLE u (id INTEGER NOT NULL, t_id INTEGER NOT NULL, w INTEGER)")
        connection.execute("INSERT INTO u VALUES (1, 1, NULL), (2, 9, 3), (3, 1, 4), (4, 2, NULL)")
        yield connection


def nullable(sql: str, dialect: str = "duckdb") -> dict[str, bool | None]:
    """Every table is read by a CTE that stands for the reference to it."""
    query = f"WITH t AS (SELECT * FROM __t), u AS (SELECT * FROM __u) {sql}"
    if sql.startswith("with "):
        query = f"WITH t AS (SELECT * FROM __t), u AS (SELECT * FROM __u), {sql.removeprefix('with ')}"
    references = [
        InputReference(query.index(f"__{name}"), query.index(f"__{name}") + 3, at) for at, name in enumerate("tu")
    ]
    inputs = [
        QueryInput(
            label=name, alias=name, columns=tuple(COLUMNS[name].items()), complete=True, nullable=NEVER_NULL[name]
        )
        for name in "tu"
    ]
    found = analyse_query(query, references, inputs, dialect)
    assert found.findings == ()
    assert found.columns is not None, found.notes
    return {column.name: column.nullable for column in found.columns}


@pytest.mark.parametrize("line", LINES)
def test_what_is_said_of_null_is_so(line: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    sql, _, expected = line.partition(" -- ")
    words = {name: word for name, _, word in (each.partition(": ") for each in expected.split("; "))}
    assert nullable(sql) == {name: MEANING[word] for name, word in words.items()}
    result = warehouse.execute(sql)
    rows = result.fetchall()
    assert rows
    held = {name for place, name in enumerate(words) if any(row[place] is None for row in rows)}
    assert {name for name, word in words.items() if word == "can"} <= held
    assert held <= {name for name, word in words.items() if word in ("can", "?")}


def test_a_division_by_zero_is_an_error_in_postgres_and_so_never_null() -> None:
    assert nullable("select id / k as q from t", "postgres") == {"q": False}
    assert nullable("select id / k as q from t", "duckdb") == {"q": None}
