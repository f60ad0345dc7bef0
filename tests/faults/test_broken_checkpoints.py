"""Fault 8: DuckDB cannot write a checkpoint, as on a full disk, and wants to be opened again."""

from __future__ import annotations

import pytest

from sqlbuild.state.journal import read_journal

BROKEN = """
    name = "faulty"
    [connections.local]
    database = "faulty.duckdb"
    [connections.local.settings]
    checkpoint_threshold = "1KB"
    debug_checkpoint_abort = "{step}"
"""
SOURCE = "sources:\n  - {name: raw_events, managed: true, write_strategy: append}\n"
READER = """
    from sqlbuild.tasks import task

    @task
    async def reader(ctx):
        return await ctx.query("SELECT 42").scalar()
"""
LOADER = """
    import os
    from sqlbuild.loaders import loader

    @loader
    def raw_events(ctx):
        yield [{"id": n, "attempt": ctx.attempt} for n in range(1000)]
        # The rows are staged by now: the next checkpoint comes with the commit that brings them into the table.
        if "BREAK" in os.environ:
            ctx.query("SET GLOBAL debug_checkpoint_abort = 'before_header'").fetchall()
            ctx.query("SET GLOBAL checkpoint_threshold = '1KB'").fetchall()
"""


@pytest.mark.parametrize("step", ["before_header", "before_truncate"])
def test_a_model_whose_checkpoint_fails_keeps_its_table_and_nobody_else_is_harmed(faulty, step):
    faulty.write({"models/orders.sql": "MODEL (materialized table);\nSELECT 1 AS generation FROM range(100000)\n"})
    faulty.build()
    faulty.write({"models/orders.sql": "MODEL (materialized table);\nSELECT 2 AS generation FROM range(100000)\n"})
    faulty.write({"sqlbuild_project.toml": BROKEN.format(step=step)})
    faulty.write({"models/after.sql": "MODEL (materialized view);\nSELECT 1 AS one\n", "tasks/t.py": READER})
    broken = faulty.sqb("build", "--connections", "1")
    assert broken.exit_code == 1, broken.output
    assert "Failed to create checkpoint" in broken.stdout, "the node says what happened"
    assert "3 nodes" in broken.stdout
    assert "2 succeeded" in broken.stdout, "DuckDB was opened anew for those that came later"
    assert broken.stderr == ""
    faulty.write({"sqlbuild_project.toml": 'name = "faulty"\n'})
    ((generation, rows),) = faulty.query("SELECT generation, count(*) FROM orders GROUP BY ALL")
    assert (generation in (1, 2), rows) == (True, 100_000)
    assert faulty.sqb("retry").exit_code == 0
    assert faulty.query("SELECT generation, count(*) FROM orders GROUP BY ALL") == [(2, 100_000)]


def test_a_load_that_is_committed_when_the_checkpoint_fails_is_not_done_again(faulty):
    faulty.write({"sources/raw.yml": SOURCE, "loaders/events.py": LOADER})
    faulty.build()
    faulty.environ["BREAK"] = "yes"
    broken = faulty.sqb("build")
    assert broken.exit_code == 0, broken.output
    last = sorted((faulty.root / "target/runs").glob("*/journal.jsonl"))[-1]
    assert '"succeeded"' in read_journal(str(last)).records["loader:raw_events"]
    stored = "SELECT count(*) FROM _sqlbuild_node_results WHERE node_id = 'loader:raw_events'"
    assert faulty.query(stored) == [(2,)], "the results were written once, by the database that was opened anew"
    assert faulty.query("SELECT id, count(*) FROM raw_events GROUP BY id HAVING count(*) != 2") == []
