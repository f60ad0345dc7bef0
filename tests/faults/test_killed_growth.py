"""Fault 4 for incremental models: a killed delta is in its table wholly or not at all, and once in the end."""

from __future__ import annotations

import signal

import pytest
from faulty_places import WAREHOUSES, PostgresPlace

NAMES = ("by_append", "by_delete_insert", "by_merge", "by_batch")
POINTS = ("delta.staged", "delta.applied", "delta.committed", "batch.kept", "checkpoints.kept")
ALWAYS = {("duckdb", "delta.committed", 2), ("postgres", "delta.applied", 3)}
"""Those that are not slow."""
PER_DAY = 40


def model(header: str) -> str:
    return f"""
        MODEL (materialized incremental, {header});
        SELECT id, day FROM __ref("events")
    """


PROJECT = {
    "sources/raw.yml": "sources:\n  - {name: raw_events, managed: true, write_strategy: append}\n",
    "models/events.sql": 'MODEL (materialized view);\nSELECT id, day FROM __source("raw_events")\n',
    "models/by_append.sql": model(
        "incremental_strategy append, cursor id, cursor_type integer, append_cursor_inclusive false"
    ),
    "models/by_delete_insert.sql": model(
        "incremental_strategy delete_insert, cursor id, cursor_type integer, lookback 5"
    ),
    "models/by_merge.sql": model("incremental_strategy merge, unique_key id"),
    "models/by_batch.sql": model(
        "incremental_strategy append, cursor id, cursor_type integer, append_cursor_inclusive false, "
        "incremental_mode microbatch, batch_size 10"
    ),
    "python/nodes.py": f"""
        import os
        from sqlbuild.loaders import loader

        @loader
        def raw_events(ctx):
            day = int(os.environ["DAY"])
            return [{{"id": day * {PER_DAY} + n, "day": day}} for n in range({PER_DAY})]
    """,
}


@pytest.fixture
def growing(faulty):
    """The first day is in all tables, the second one is loaded."""
    faulty.write(PROJECT)
    faulty.environ["DAY"] = "1"
    for arguments in (("build",), ("load",)):
        finished = faulty.sqb(*arguments)
        assert finished.exit_code == 0, finished.output
        faulty.environ["DAY"] = "2"
    assert rows_of(faulty) == {name: {1: PER_DAY} for name in NAMES}
    return faulty


def rows_of(growing) -> dict[str, dict[int, int]]:
    """Of each table how many rows of each day it has; none may be there twice."""
    found = {}
    for name in NAMES:
        ids = [id_ for (id_,) in growing.place.rows(f"SELECT id FROM {name}")]
        assert len(ids) == len(set(ids)), name
        found[name] = dict(growing.place.rows(f"SELECT day, count(*) FROM {name} GROUP BY day"))
    return found


def check_that_nothing_is_half(growing) -> None:
    for name, days in rows_of(growing).items():
        assert days[1] == PER_DAY
        assert days.get(2, 0) in (range(0, PER_DAY + 1, 10) if name == "by_batch" else (0, PER_DAY)), name


def leftovers(growing) -> set[str]:
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1"
    return {name for (name,) in growing.place.rows(sql, growing.place.schema) if "staging" in name}


def settle(growing) -> None:
    if isinstance(growing.place, PostgresPlace):
        growing.place.wait_until_none()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("warehouse", "point", "at"),
    [
        pytest.param(*each, marks=() if each in ALWAYS else pytest.mark.slow)
        for each in ((warehouse, point, at) for warehouse in WAREHOUSES for point in POINTS for at in (1, 2, 3, 4))
    ],
)
def test_a_delta_that_is_killed_there_is_whole_and_applied_once(growing, point, at):
    growing.environ["SQB_FAILPOINT"] = f"{point}:kill@{at}"
    killed = growing.sqb("build", "--no-load")
    assert killed.exit_code == -signal.SIGKILL, killed.output
    del growing.environ["SQB_FAILPOINT"]
    settle(growing)
    check_that_nothing_is_half(growing)
    resumed = growing.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert rows_of(growing) == {name: {1: PER_DAY, 2: PER_DAY} for name in NAMES}
    assert leftovers(growing) == set()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("warehouse", WAREHOUSES)
@pytest.mark.parametrize("point", ["delta.committed", "batch.kept", "delta.staged", "gate.staged", "model.swapped"])
@pytest.mark.parametrize("command", ["retry", "build"])
def test_a_table_that_is_built_anew_in_batches_stays_until_they_are_all_done(growing, point, command):
    before = rows_of(growing)
    growing.environ["SQB_FAILPOINT"] = f"{point}:kill@{1 if point in ('gate.staged', 'model.swapped') else 3}"
    killed = growing.sqb("build", "--no-load", "-s", "by_batch", "--full-refresh")
    assert killed.exit_code == -signal.SIGKILL, killed.output
    del growing.environ["SQB_FAILPOINT"]
    settle(growing)
    if point != "model.swapped":
        assert rows_of(growing) == before
    resumed = growing.sqb(*((command,) if command == "retry" else ("build", "--no-load", "-s", "by_batch")))
    # There is nothing to go on with if it had taken its place.
    assert resumed.exit_code == 0 or (point == "model.swapped" and resumed.exit_code == 2), resumed.output
    assert rows_of(growing)["by_batch"] == {1: PER_DAY, 2: PER_DAY}
    assert leftovers(growing) == set()
