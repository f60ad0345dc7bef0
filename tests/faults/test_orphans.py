"""A build is killed while the server works for it: the server notices late, and whoever builds next must not suffer."""

from __future__ import annotations

import signal

import pytest
from faulty_places import on_postgres

LONG = 'SELECT a.id FROM __ref("orders") AS a, generate_series(1, 1000000) b(n), generate_series(1, 1000000) c(n) WHERE b.n < c.n'
FILES = {
    "models/orders.sql": "MODEL (materialized table);\nSELECT 1 AS id\n",
    "models/slow.sql": f"MODEL (materialized table);\n{LONG}\n",
}
CHANGED = {"models/slow.sql": 'MODEL (materialized table);\nSELECT id FROM __ref("orders")\n'}
WORKING = "state = 'active' AND query LIKE '%generate_series%'"


@pytest.fixture
def orphaned(faulty):
    """A project whose build was killed in the middle of a model that takes for ever."""
    faulty.write(FILES)
    process = faulty.start("build")
    faulty.place.wait_for(WORKING)
    process.kill()
    process.communicate()
    return faulty


@on_postgres
@pytest.mark.parametrize("command", [("build",), ("retry",)], ids=" ".join)
def test_the_next_command_ends_what_is_still_at_work_and_builds(orphaned, command):
    (orphan,) = orphaned.place.sessions(WORKING)
    orphaned.write(CHANGED)
    finished = orphaned.sqb(*command)
    assert finished.exit_code == 0, finished.output
    assert orphan not in orphaned.place.sessions()
    assert orphaned.place.rows("SELECT id FROM slow") == [(1,)]


@on_postgres
def test_without_a_next_command_the_server_ends_it_soon(orphaned):
    orphaned.place.wait_until_none(seconds=10)


@on_postgres
def test_a_statement_of_a_killed_node_takes_no_effect_beside_its_next_attempt(faulty):
    """It would be committed when it is through, as nobody is asked."""
    faulty.write(
        {
            "tasks/t.py": """
                import os
                from sqlbuild.tasks import task

                @task
                def appends(ctx):
                    ctx.execute_sql("CREATE TABLE IF NOT EXISTS log (attempt int)")
                    ctx.execute_sql("DELETE FROM log")
                    ctx.execute_sql(f"INSERT INTO log SELECT {ctx.attempt} FROM pg_sleep({os.environ['SECONDS']})")
            """
        }
    )
    faulty.environ["SECONDS"] = "3"
    process = faulty.start("build")
    faulty.place.wait_for("state = 'active' AND query LIKE 'INSERT INTO log%'")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    faulty.environ["SECONDS"] = "0"
    finished = faulty.sqb("retry")
    assert finished.exit_code == 0, finished.output
    assert faulty.place.rows("SELECT attempt FROM log, pg_sleep(3.5)") == [(2,)]
