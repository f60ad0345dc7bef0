"""Incremental models from the command line, on both warehouses: the same commands give the same tables."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import duckdb
import pytest

SETTINGS = {
    "duckdb": 'name = "shop"\n',
    "postgres": """
        name = "shop"
        [connections.server]
        adapter = "postgres"
        dsn = "{dsn}"
        [targets.dev]
        connection = "server"
        schema = "public"
    """,
}
CURSOR = "cursor scanned_hour, cursor_type timestamp, cursor_grain hour"
MODELS = {
    "sources/raw.yml": """
        sources:
          - {name: raw_scans, table: raw_scans}
          - {name: depots, table: depots}
    """,
    "models/stg_scans.sql": 'SELECT id, depot, scanned_at FROM __source("raw_scans")\n',
    # Depots are looked up: they are no cursor input, and read whole.
    "models/hourly.sql": f"""
        MODEL (
          materialized incremental, incremental_strategy delete_insert, {CURSOR},
          cursor_inputs (stg_scans scanned_at), replay_on_change bounded-1d, indexes [(columns [scanned_hour])],
        );
        SELECT date_trunc('hour', s.scanned_at) AS scanned_hour, d.city, count(*) AS scans
        FROM __ref("stg_scans") AS s JOIN __source("depots") AS d ON d.id = s.depot
        GROUP BY 1, 2
    """,
    "models/daily.sql": """
        MODEL (
          materialized incremental, incremental_strategy delete_insert, cursor scanned_day, cursor_type timestamp,
          cursor_grain day, cursor_inputs (hourly (column scanned_hour, roles [filter, watermark])),
          incremental_mode microbatch, microbatch_strategy watermark, cursor_watermark_mode all, batch_size 1d,
        );
        SELECT date_trunc('day', scanned_hour) AS scanned_day, sum(scans) AS scans FROM __ref("hourly") GROUP BY 1
    """,
    "models/last_seen.sql": """
        MODEL (
          materialized incremental, incremental_strategy merge, unique_key [depot], cursor last_at,
          cursor_type timestamp, cursor_inputs (stg_scans scanned_at), merge_exclude_columns [first_at],
        );
        SELECT depot, min(scanned_at) AS first_at, max(scanned_at) AS last_at FROM __ref("stg_scans") GROUP BY depot
    """,
    "models/log.sql": """
        MODEL (
          materialized incremental, incremental_strategy append, cursor id, cursor_type integer,
          append_cursor_inclusive false, on_schema_change append_new_columns,
        );
        SELECT id, depot FROM __ref("stg_scans")
        WHERE id >= __cursor_start() AND id < __cursor_end()
    """,
}
FIRST = (
    "INSERT INTO depots VALUES (1, 'Oslo'), (2, 'Bergen')",
    "INSERT INTO raw_scans VALUES (1, 1, '2026-04-01 08:10:00'), (2, 1, '2026-04-01 08:50:00'), "
    "(3, 2, '2026-04-01 23:59:59'), (9, 1, NULL)",
)
SECOND = (
    "INSERT INTO raw_scans VALUES (10, 2, '2026-04-01 23:10:00'), (11, 1, '2026-04-02 00:00:00')",
    "INSERT INTO raw_scans VALUES (12, 1, '2026-04-03 10:00:00')",
)


class Shop:
    def __init__(self, project, dsn: str | None) -> None:
        self.project = project
        self._dsn = dsn

    def run(self, *statements: str) -> list[tuple]:
        if self._dsn is None:
            with duckdb.connect(str(self.project.root / "shop.duckdb")) as connection:
                return [connection.execute(each) for each in statements][-1].fetchall()
        return asyncio.run(self._on_the_server(statements))

    async def _on_the_server(self, statements) -> list[tuple]:
        connection = await asyncpg.connect(self._dsn)
        try:
            return [tuple(row) for row in [await connection.fetch(each) for each in statements][-1]]
        finally:
            await connection.close()

    def table(self, name: str) -> list[tuple[str, ...]]:
        return [tuple(map(str, row)) for row in self.run(f"SELECT * FROM {name} ORDER BY 1, 2")]

    def sqb(self, *arguments: str, code: int = 0):
        finished = self.project.sqb(*arguments)
        assert finished.code == code, finished.everything
        return finished


@pytest.fixture(params=["duckdb", "postgres"])
def shop(request, project):
    dsn = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    shop = Shop(project, dsn)
    project.write({**MODELS, "sqlbuild_project.toml": SETTINGS[request.param].format(dsn=dsn)})
    shop.run(
        "CREATE TABLE raw_scans (id BIGINT, depot INTEGER, scanned_at TIMESTAMP)",
        "CREATE TABLE depots (id INTEGER, city VARCHAR(20))",
    )
    return shop


def test_tables_grow_with_their_inputs_and_are_replayed_when_models_change(shop):
    first = shop.sqb("build", "--json").json
    assert {each["name"]: each["status"] for each in first["results"]} == dict.fromkeys(
        ("stg_scans", "hourly", "daily", "last_seen", "log"), "succeeded"
    )
    assert [shop.table(name) for name in ("hourly", "daily", "last_seen", "log")] == [[], [], [], []]

    shop.run(*FIRST)
    shop.sqb("build")
    assert shop.table("hourly") == [("2026-04-01 08:00:00", "Oslo", "2"), ("2026-04-01 23:00:00", "Bergen", "1")]
    assert shop.table("daily") == [("2026-04-01 00:00:00", "3")]
    assert shop.table("log") == [("1", "1"), ("2", "1"), ("3", "2"), ("9", "1")]

    shop.run(*SECOND)
    plan = shop.sqb("plan", "-s", "hourly", "log", "last_seen").out
    assert "hourly     delete_insert, scanned_hour 2026-04-01 23:00:00 to 2026-04-03 11:00:00" in plan
    assert "log        append, id 10 to 13" in plan
    built = shop.sqb("build").out
    assert "3 rows of 2026-04-01 23:00:00 to 2026-04-03 11:00:00" in built
    assert "3 rows of 2026-04-01 to 2026-04-04 in 3 batches" in built
    assert shop.table("hourly") == [
        ("2026-04-01 08:00:00", "Oslo", "2"),
        ("2026-04-01 23:00:00", "Bergen", "2"),
        ("2026-04-02 00:00:00", "Oslo", "1"),
        ("2026-04-03 10:00:00", "Oslo", "1"),
    ]
    assert shop.table("daily") == [(f"2026-04-0{day} 00:00:00", scans) for day, scans in ((1, "4"), (2, "1"), (3, "1"))]
    assert shop.table("last_seen") == [
        ("1", "2026-04-01 08:10:00", "2026-04-03 10:00:00"),
        ("2", "2026-04-01 23:59:59", "2026-04-01 23:59:59"),
    ]
    assert [row[0] for row in shop.table("log")] == ["1", "2", "3", "9", "10", "11", "12"]

    # A change of a model replays what it says, and nothing of those that read it; new columns come.
    changed = MODELS["models/hourly.sql"].replace("count(*)", "10 * count(*)")
    log = MODELS["models/log.sql"].replace("id, depot FROM", "id, depot, 'new' AS kind FROM")
    shop.project.write({"models/hourly.sql": changed, "models/log.sql": log})
    plan = json.loads(shop.sqb("plan", "--json", "-s", "hourly").out)
    (node,) = plan["nodes"]
    assert node["incremental"]["replay"] == "bounded-1d"
    assert node["incremental"]["does"] == (
        "delete_insert (replay_on_change bounded-1d), scanned_hour 2026-04-02 11:00:00 to 2026-04-03 11:00:00"
    )
    shop.run("INSERT INTO raw_scans VALUES (13, 2, '2026-04-03 10:30:00')")
    shop.sqb("build", "-s", "hourly", "log")
    assert [row[2] for row in shop.table("hourly")] == ["2", "2", "1", "10", "10"]
    assert {row[2] for row in shop.table("log")} == {"None", "new"}

    # What is asked for comes first.
    shop.sqb("build", "-s", "hourly", "--start-cursor", "2026-04-01T08:30", "--end-cursor", "2026-04-01T09:00")
    assert [row[2] for row in shop.table("hourly")] == ["20", "2", "1", "10", "10"]
    too_many = shop.sqb("build", "-s", "daily", "--full-refresh", "--max-microbatches", "2", code=1)
    assert "are due, and the limit is 2" in too_many.everything
    shop.sqb("build", "-s", "daily", "--full-refresh", "--max-microbatches", "3")
    assert [row[1] for row in shop.table("daily")] == ["22", "1", "20"]


def test_what_is_wrong_is_said_and_changes_nothing(shop):
    shop.run(*FIRST)
    shop.sqb("build")
    before = shop.table("last_seen")
    wrong = MODELS["models/last_seen.sql"].replace("GROUP BY depot", "GROUP BY depot, id")
    shop.project.write({"models/last_seen.sql": wrong})
    failed = shop.sqb("build", "-s", "last_seen", "--full-refresh", code=1)
    assert "the query gives 2 rows with the unique key depot = 1" in failed.everything
    assert "group by the key" in failed.everything
    assert shop.table("last_seen") == before
    shop.run("DELETE FROM raw_scans")
    failed = shop.sqb("build", "-s", "daily", "hourly", "--full-refresh", code=1)
    assert "hourly would be built anew of nothing: no input rows (stg_scans.scanned_at)" in failed.everything
    done = shop.sqb("build", "-s", "hourly")
    assert "no input rows (stg_scans.scanned_at)" in done.everything
    assert len(shop.table("hourly")) == 2
