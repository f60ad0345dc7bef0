"""Fault 4 for every write strategy: a killed load is in its table wholly or not at all, and once in the end."""

from __future__ import annotations

import signal
import time

import pytest
from faulty_places import WAREHOUSES, PostgresPlace

from sqlbuild.state.journal import read_journal

ROWS = 4_000
NAMES = ("by_table", "by_append", "by_delete_insert", "by_merge")
POINTS = ("load.staged", "load.applied", "load.committed")
ALWAYS = ("postgres", "load.applied", 3)
"""The one that is not slow."""
PROJECT = {
    "sources/raw.yml": """
        sources:
          - {name: by_table, managed: true, write_strategy: table}
          - {name: by_append, managed: true, write_strategy: append}
          - {name: by_delete_insert, managed: true, write_strategy: delete_insert, cursor_column: id}
          - {name: by_merge, managed: true, write_strategy: merge, unique_key: id}
    """,
    "python/nodes.py": f"""
        import os
        from sqlbuild.loaders import loader

        for name in {NAMES}:
            @loader(name=name)
            def load(ctx, name=name):
                with open("calls.txt", "a") as calls:
                    calls.write(f"{{name}}\\n")
                day = int(os.environ["DAY"])
                for first in range(0, {ROWS}, 1_000):
                    yield [{{"id": day * {ROWS // 2} + first + n, "day": day}} for n in range(1_000)]
    """,
}


def rows_after(name: str, day: int) -> dict[int, int]:
    """How many rows of each day are in the table after the load of one; it has half the keys of the day before."""
    kept = {"by_table": 0, "by_append": ROWS}.get(name, ROWS // 2)
    return {**(dict.fromkeys(range(1, day), kept) if kept else {}), day: ROWS}


def day_of(loading) -> int:
    return int(loading.environ["DAY"])


def next_day(loading) -> None:
    loading.environ["DAY"] = str(day_of(loading) + 1)


@pytest.fixture
def loading(faulty):
    """The loads of the first day are in their tables, those of the second have still to come."""
    faulty.write(PROJECT)
    faulty.environ["DAY"] = "1"
    finished = faulty.sqb("load")
    assert finished.exit_code == 0, finished.output
    assert loaded(faulty) == set(NAMES)
    next_day(faulty)
    return faulty


def loaded(loading) -> set[str]:
    """The tables that have the rows of today; all others must be as they were, and none may have half of them."""
    day, found = day_of(loading), set()
    for name in NAMES:
        rows = dict(loading.place.rows(f"SELECT day, count(*) FROM {name} GROUP BY day"))
        assert rows in (rows_after(name, day), rows_after(name, day - 1)), (name, rows)
        if rows == rows_after(name, day):
            found.add(name)
    return found


def calls(loading) -> list[str]:
    return (loading.root / "calls.txt").read_text().split()


def settle(loading) -> None:
    """Until the server has noticed that the command is gone."""
    if isinstance(loading.place, PostgresPlace):
        loading.place.wait_until_none()


def go_on(loading) -> None:
    """What is in the tables is known to be, and not loaded again; in the end everything is there once."""
    there, before = loaded(loading), len(calls(loading))
    marked = loading.place.rows("SELECT node_id FROM _sqlbuild_commits WHERE part = 'load'")
    journal = max((loading.root / "target/runs").glob("*/journal.jsonl"))
    assert {f"loader:{name}" for name in there} == {name for (name,) in marked} | set(
        read_journal(str(journal)).records
    )
    retry(loading)
    assert set(calls(loading)[before:]) == set(NAMES) - there


def retry(loading) -> None:
    resumed = loading.sqb("retry")
    # There is nothing to go on with if all of them had taken effect.
    assert resumed.exit_code == 0 or (resumed.exit_code == 2 and "build again" in resumed.output), resumed.output
    assert loaded(loading) == set(NAMES)
    tables = loading.place.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = $1", loading.place.schema
    )
    assert {name for (name,) in tables if "_sqlbuild" not in name or "staging" in name} == set(NAMES)


@pytest.mark.parametrize(
    ("warehouse", "point", "at"),
    [
        pytest.param(*each, marks=() if each == ALWAYS else pytest.mark.slow)
        for each in ((warehouse, point, at) for warehouse in WAREHOUSES for point in POINTS for at in range(1, 5))
    ],
)
def test_a_load_of_any_strategy_that_is_killed_there_is_whole_and_done_once(loading, point, at):
    loading.environ["SQB_FAILPOINT"] = f"{point}:kill@{at}"
    killed = loading.sqb("load")
    assert killed.exit_code == -signal.SIGKILL, killed.output
    del loading.environ["SQB_FAILPOINT"]
    settle(loading)
    go_on(loading)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("warehouse", WAREHOUSES)
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "at once"])
def test_loads_that_are_killed_at_spread_times_are_whole_and_done_once(loading, settled):
    """At once: the server may still be at work for the killed command when the next one comes."""
    kills = 20
    for number in range(kills):
        begun = len(calls(loading))
        process = loading.start("load")
        while len(calls(loading)) == begun:
            assert process.poll() is None, process.communicate()
        # The moment is spread over the half second that the loads take: that is the very thing that is tested.
        time.sleep(0.5 * number / kills)
        process.kill()
        process.communicate()
        if settled:
            settle(loading)
            go_on(loading)
        else:
            retry(loading)
        next_day(loading)
