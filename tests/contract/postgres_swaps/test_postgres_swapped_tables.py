"""Indexes, statistics and declared types of a table that takes the place of another on PostgreSQL."""

from __future__ import annotations

import pytest

from sqlbuild.domain.relation_options import Index
from sqlbuild.errors import WarehouseError


async def test_indexes_are_made_anew_with_each_table_under_the_same_names(table, rows):
    indexes = [
        Index(columns=("id",), unique=True),
        Index(columns=("at DESC NULLS LAST", "lower(status)"), where="status <> 'x, y'", include=("id",)),
        Index(columns=("at",), using="brin", name="by time"),
        Index(columns=("status text_pattern_ops",)),
    ]
    found = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'dev' ORDER BY 1"
    await table("SELECT 1 AS id, now() AS at, 'a' AS status", indexes=indexes)
    first = await rows(found)
    assert first == [
        ("CREATE INDEX \"by time\" ON dev.orders USING brin (at)",),
        ("CREATE INDEX orders_at_desc_nulls_last_lower_status_idx ON dev.orders USING btree (at DESC NULLS LAST, "
         "lower(status)) INCLUDE (id) WHERE (status <> 'x, y'::text)",),
        ("CREATE INDEX orders_status_text_pattern_ops_idx ON dev.orders USING btree (status text_pattern_ops)",),
        ("CREATE UNIQUE INDEX orders_id_key ON dev.orders USING btree (id)",),
    ]  # fmt: skip
    await table("SELECT 2 AS id, now() AS at, 'a' AS status", indexes=indexes)
    assert await rows(found) == first
    assert await rows("SELECT relname::text FROM pg_class WHERE relname LIKE '%sqlbuild%'") == []


async def test_what_a_unique_index_does_not_allow_leaves_the_old_table(table, rows):
    unique = [Index(columns=("id",), unique=True)]
    await table("SELECT 1 AS id", indexes=unique)
    with pytest.raises(WarehouseError, match=r"index 1 of the model \(id\): could not create unique index"):
        await table("SELECT 2 AS id FROM generate_series(1, 2)", indexes=unique)
    assert await rows("SELECT id FROM dev.orders") == [(1,)]


async def test_the_planner_knows_a_new_table_at_once(table, rows):
    await table("SELECT n AS id FROM generate_series(1, 500) AS t(n)")
    assert await rows("SELECT reltuples FROM pg_class WHERE relname = 'orders'") == [(500.0,)]


async def test_columns_of_a_table_get_their_declared_types(table, rows):
    await table(
        "SELECT '7' AS \"Id\", DATE '2026-01-02' AS day, 1.25 AS total -- last",
        types={"Id": "int", "total": "numeric(5, 1)"},
    )
    assert await rows('SELECT "Id", pg_typeof("Id")::text, day::text, total::text FROM dev.orders') == [
        (7, "integer", "2026-01-02", "1.3")
    ]


@pytest.mark.parametrize("types", [{}, {"a": "bigint"}])
async def test_of_a_query_that_fails_the_message_shows_nothing_else(table, types):
    with pytest.raises(WarehouseError, match=r"LINE 2:   2 / zero AS b\n {14}\^\Z"):
        await table("SELECT 1 AS a,\n  2 / zero AS b", types=types)


async def test_a_declared_column_that_the_query_does_not_give_is_named(table):
    with pytest.raises(WarehouseError, match="declares the column Id, which the query does not give") as caught:
        await table("SELECT 1 AS id", types={"Id": "int"})
    assert "the query gives id" in caught.value.help
