"""Faults 2 and 29: whoever reads a table sees one generation of it, whole, whenever the building process dies."""

from __future__ import annotations

import subprocess
import sys
import time

import duckdb
import pytest

ROWS = 300_000
MODEL = f"MODEL (materialized table);\nSELECT __ENV_GENERATION AS generation FROM range({ROWS})\n"
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


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_table_is_there_whole_whenever_its_builder_is_killed(faulty, kills):
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
        with duckdb.connect(str(faulty.root / "faulty.duckdb"), read_only=True) as connection:
            ((generation, rows),) = connection.execute(
                "SELECT generation, count(*) FROM orders GROUP BY ALL"
            ).fetchall()
        assert rows == ROWS
        assert generation in (built, built + 1)
    faulty.write({"models/orders.sql": MODEL.replace("__ENV_GENERATION", "0")})
    faulty.build()
    tables = faulty.query("SELECT table_name FROM information_schema.tables WHERE table_name LIKE '%staging%'")
    assert tables == []


def test_who_reads_while_a_table_is_replaced_sees_the_old_one_to_its_end(faulty):
    """A result is open while the model it reads is built again; both come to their end."""
    faulty.write(
        {
            "models/orders.sql": "MODEL (materialized table);\nSELECT 1 AS generation FROM range(200000)\n",
            "python/nodes.py": """
                import pathlib
                from sqlbuild.assets import asset
                from sqlbuild.refs import model
                from sqlbuild.tasks import task

                @task
                def reads(ctx):
                    if not pathlib.Path("again").exists():
                        return None
                    seen = {}
                    for batch in ctx.query("SELECT generation FROM main.orders").batches(1_000):
                        pathlib.Path("reading").touch()
                        while not pathlib.Path("replaced").exists():
                            pass
                        for value in batch.column(0).to_pylist():
                            seen[value] = seen.get(value, 0) + 1
                    return {str(value): rows for value, rows in seen.items()}

                @asset(depends_on=model("orders"))
                def replaced(ctx):
                    pathlib.Path("replaced").touch()
                    return ctx.query("SELECT min(generation) FROM main.orders").scalar()
            """,
        }
    )
    faulty.build()
    (faulty.root / "replaced").unlink()
    (faulty.root / "again").touch()
    faulty.write(
        {
            "models/orders.sql": """
                MODEL (materialized table);
                SELECT 2 AS generation FROM range(200000) WHERE (SELECT count(*) FROM range(20000000) t(i) WHERE i % 7 = 3) > 0
            """
        }
    )
    finished = faulty.sqb("build", timeout=60)
    assert finished.exit_code == 0, finished.output
    assert faulty.result("reads")["payload"] == {"1": 200_000}
    assert faulty.result("replaced")["payload"] == 2
