"""Faults 2 and 29: whoever reads a table sees one generation of it, whole, whenever the building process dies."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from faulty_places import on_postgres

ROWS = 300_000
MODEL = f"MODEL (materialized table);\nSELECT __ENV_GENERATION AS generation FROM generate_series(1, {ROWS})\n"
BUILDS = """
import pathlib, sys
import sqlbuild

model = pathlib.Path("models/orders.sql")
generation = int(sys.argv[1])
while True:
    generation += 1
    model.write_text(pathlib.Path("model.txt").read_text().replace("__ENV_GENERATION", str(generation)))
    sqlbuild.build(".").raise_for_failures()
    print(generation, flush=True)
"""


MANY = (pytest.mark.slow, pytest.mark.timeout(1_800))


@pytest.mark.parametrize(
    ("warehouse", "kills"),
    [("duckdb", 6), pytest.param("duckdb", 60, marks=MANY), pytest.param("postgres", 60, marks=MANY)],
)
def test_a_table_is_there_whole_whenever_its_builder_is_killed(faulty, place, kills):
    faulty.write({"model.txt": MODEL, "builds.py": BUILDS, "models/.keep": ""})
    generation = 0
    for number in range(kills):
        command = [sys.executable, "builds.py", str(generation)]
        process = subprocess.Popen(command, cwd=faulty.root, env=faulty.environ, stdout=subprocess.PIPE, text=True)
        built = int(process.stdout.readline())
        # The moment is spread over two builds of about a tenth of a second each: that is the very thing that is tested.
        time.sleep(0.2 * number / kills)
        process.kill()
        built = max([built, *map(int, process.communicate()[0].split())])
        ((generation, rows),) = faulty.place.rows("SELECT generation, count(*) FROM orders GROUP BY generation")
        assert rows == ROWS
        assert generation in (built, built + 1)
    faulty.write({"models/orders.sql": MODEL.replace("__ENV_GENERATION", "0")})
    faulty.build()
    tables = faulty.place.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = $1", place.schema)
    assert {name for (name,) in tables if not name.startswith("_sqlbuild_")} == {"orders"}
    assert [name for (name,) in tables if "staging" in name] == []


def test_who_reads_while_a_table_is_replaced_sees_the_old_one_to_its_end(faulty):
    """A result is open while the model it reads is built again; both come to their end."""
    faulty.write(
        {
            "sources/gate.yml": "sources:\n  - {name: gate, managed: true}\n",
            "models/orders.sql": 'MODEL (materialized table);\nSELECT generation FROM __source("gate"), range(200000)\n',
            "python/nodes.py": """
                import pathlib
                import time
                from sqlbuild.assets import asset
                from sqlbuild.loaders import loader
                from sqlbuild.refs import model
                from sqlbuild.tasks import task

                ORDERS = "main.orders"  # by a name that nothing waits for
                AGAIN = pathlib.Path("again").exists()

                def wait_for(name):
                    while not pathlib.Path(name).exists():
                        time.sleep(0.01)

                @loader
                def gate(ctx):
                    if AGAIN:
                        wait_for("reading")
                    return [{"generation": 2 if AGAIN else 1}]

                @task
                def reads(ctx):
                    if not AGAIN:
                        return None
                    seen = {}
                    for batch in ctx.query(f"SELECT generation FROM {ORDERS}").batches(1_000):
                        pathlib.Path("reading").touch()
                        wait_for("replaced")
                        for value in batch.column(0).to_pylist():
                            seen[value] = seen.get(value, 0) + 1
                    return {str(value): rows for value, rows in seen.items()}

                @asset(depends_on=model("orders"))
                def replaced(ctx):
                    pathlib.Path("replaced").touch()
                    return ctx.query(f"SELECT min(generation) FROM {ORDERS}").scalar()
            """,
        }
    )
    faulty.build()
    (faulty.root / "replaced").unlink()
    (faulty.root / "again").touch()
    finished = faulty.sqb("build", timeout=60)
    assert finished.exit_code == 0, finished.output
    assert faulty.result("reads")["payload"] == {"1": 200_000}
    assert faulty.result("replaced")["payload"] == 2


# -- PostgreSQL, where readers hold locks -----------------------------------------------------------------------------

ORDERS = "MODEL (materialized table);\nSELECT {} AS generation\n"
READING = "SELECT * FROM orders"


@on_postgres
def test_a_swap_that_a_reader_keeps_from_its_table_fails_in_time_and_leaves_it(faulty):
    faulty.write(
        {
            "sqlbuild_project.toml": faulty.place.settings(options="lock_timeout = 0.5"),
            "models/orders.sql": ORDERS.format(1),
            "models/others.sql": ORDERS.format(1),
        }
    )
    faulty.build()
    faulty.write({"models/orders.sql": ORDERS.format(2), "models/others.sql": ORDERS.format(2)})
    with faulty.place.held(READING) as reader:
        finished = faulty.sqb("build")
        assert finished.exit_code == 1, finished.output
        assert faulty.statuses() == {"orders": "failed", "others": "succeeded"}
        message = faulty.result("orders")["error"]["message"]
        assert f"others held a lock that this needs for 0.5 s: pid {reader} (tests, role postgres, idle in" in message
        assert READING in message
        assert f"pg_terminate_backend({reader})" in finished.output
        assert faulty.place.rows("SELECT generation FROM orders") == [(1,)]
    resumed = faulty.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert faulty.place.rows("SELECT generation FROM orders") == [(2,)]


@on_postgres
@pytest.mark.slow
def test_a_swap_that_waits_says_for_whom_and_a_policy_tries_it_again(faulty):
    header = "MODEL (materialized table, retry (max_attempts 2, initial_delay_seconds 0));\n"
    faulty.write(
        {
            "sqlbuild_project.toml": faulty.place.settings(options="lock_timeout = 4"),
            "models/orders.sql": f"{header}SELECT 1 AS generation",
        }
    )
    faulty.build()
    faulty.write({"models/orders.sql": f"{header}SELECT 2 AS generation"})
    with faulty.place.held(READING) as reader:
        process = faulty.start("build")
        said = [process.stdout.readline()]
        while "retrying" not in said[-1]:
            said.append(process.stdout.readline())
            assert said[-1], said
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert any(f"waiting up to 4 s for a lock to replace public.orders: pid {reader} (" in line for line in said), said
    assert "attempt 1 failed: WarehouseError: public.orders cannot be replaced" in said[-1]
    assert faulty.place.rows("SELECT generation FROM orders") == [(2,)]
