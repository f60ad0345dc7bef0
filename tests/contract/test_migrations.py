"""Targets that an earlier version of the state tables was written in. tests/fixtures/first_schema.sql is the first one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.results import Status
from sqlbuild.state.migrations import MIGRATIONS, SCHEMA_VERSION
from sqlbuild.warehouses.postgres import PostgresWarehouse

FIRST_SCHEMA = Path(__file__).parents[1] / "fixtures" / "first_schema.sql"
COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = '{}' AND table_name LIKE '#_sqlbuild#_%' ESCAPE '#' AND table_name NOT LIKE '%staging%'
    ORDER BY 1, 2
"""


@pytest.fixture
async def old(state_place):
    """A target as the first version left it. That could only be DuckDB, but what brings tables to the present version
    must be right wherever they are."""
    text = FIRST_SCHEMA.read_text(encoding="utf-8")
    if isinstance(state_place, PostgresWarehouse):
        text = text.replace(" DOUBLE,", " DOUBLE PRECISION,")
        text = text.replace("range AS id, range * 2 AS twice FROM range(10)", "1 AS id, 2 AS twice")
        text = f"CREATE SCHEMA main;\nSET LOCAL search_path TO main;\n{text}"
    connection = state_place.connect()
    await connection.execute_together((statement, None) for statement in text.split(";\n") if statement.strip())
    await connection.close()
    return state_place


def test_versions_go_up_by_one():
    assert [version for version, _ in MIGRATIONS] == list(range(2, SCHEMA_VERSION + 1))


async def test_old_tables_get_the_columns_of_new_ones(old, make_store, rows):
    for schema in ("main", "new"):
        await make_store(old, schema).begin()
    assert await rows(old, COLUMNS.format("main")) == await rows(old, COLUMNS.format("new"))


async def test_a_migration_is_told_once_and_keeps_every_row(old, make_store, rows):
    before = {
        name: await rows(old, f"SELECT * FROM main.{name} ORDER BY run_id, stored_at")
        for name in ("_sqlbuild_node_results", "_sqlbuild_runs")
    }
    told = await make_store(old, "main").begin()
    assert told == (f"the state in main was brought from version 1 to {SCHEMA_VERSION}",)
    assert await make_store(old, "main").begin() == ()
    versions = await rows(old, "SELECT schema_version FROM main._sqlbuild_meta ORDER BY 1")
    assert versions == [(version,) for version in range(1, SCHEMA_VERSION + 1)]
    for name, found in before.items():
        after = await rows(old, f"SELECT * FROM main.{name} ORDER BY run_id, stored_at")
        assert [row[: len(found[0]) - 1] for row in after] == [row[:-1] for row in found]


@pytest.mark.parametrize("migrated", [False, True])
async def test_the_history_can_be_read(old, make_store, migrated):
    store = make_store(old, "main")
    if migrated:
        await store.begin()
    past = await store.past()
    assert past.last_run_id == "20261122T160000Z-3d4e5f"
    assert {node: found.last_status for node, found in past.nodes.items()} == {
        "model:orders": Status.SUCCEEDED,
        "task:first": Status.SUCCEEDED,
        "asset:export": Status.FAILED,
        "asset:report": Status.BLOCKED,
    }
    export, first = NodeId("asset:export"), NodeId("task:first")
    assert (await store.latest_success([export]))[export].payload == '{"rows":10}'
    assert [found.payload for found in await store.last_successes(first, 5)] == ['{"rows":4}', '{"rows":3}']
    (failed, _) = await store.last_results(export, 5)
    assert failed.error is not None
    assert (failed.error.message, failed.error.line, failed.attempt) == ("it's not today", 12, 3)
    assert await store.last_cursor(export, "day") is None


async def test_old_tables_are_written_to_once_they_are_migrated(old, make_store, make_record):
    store = make_store(old, "main")
    await store.begin()
    await store.append_results([make_record("asset:export", run_id="r9", exports='{"cursors":{"day":"7"}}')])
    assert await store.last_cursor(NodeId("asset:export"), "day") == "7"
    assert (await store.past()).last_run_id == "r9"
