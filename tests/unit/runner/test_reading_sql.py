from __future__ import annotations

import pytest

from sqlbuild.errors import WarehouseError
from sqlbuild.runner.reading_sql import refuse_writing

READING = [
    "SELECT 1",
    "  -- a comment; with a semicolon\n(SELECT 1) UNION (SELECT 2);",
    "FROM orders",
    "VALUES (1)",
    "DESCRIBE orders",
    "SUMMARIZE orders",
    "EXPLAIN ANALYZE SELECT 1",
    "WITH a AS (SELECT 'insert' AS word, \"update\" FROM t) SELECT * FROM a",
    "SELECT 'INSERT INTO x; DROP TABLE y'",
    "",
    "SELECT 'never closed",
]
WRITING = [
    "INSERT INTO x VALUES (1)",
    "insert into x values (1) returning *",
    "CREATE TABLE x AS SELECT 1",
    "DROP TABLE x",
    "COPY (SELECT 1) TO 'x.csv'",
    "ATTACH 'other.duckdb'",
    "SET threads = 1",
    "CALL something()",
    "SELECT 1; DELETE FROM x",
    "WITH a AS (SELECT 1) INSERT INTO x SELECT * FROM a",
    "WITH a AS (SELECT 1) delete from x",
    "EXPLAIN ANALYZE INSERT INTO x VALUES (1)",
    "EXPLAIN",
]


@pytest.mark.parametrize("sql", READING)
def test_what_only_reads_is_let_through(sql):
    refuse_writing(sql)


@pytest.mark.parametrize("sql", WRITING)
def test_everything_else_is_refused(sql):
    with pytest.raises(WarehouseError, match="a dry run only reads") as raised:
        refuse_writing(sql)
    assert raised.value.help == "return before it where ctx.dry_run is true"
