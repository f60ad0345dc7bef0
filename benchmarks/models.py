"""SQL models in layers on DuckDB: a whole `sqb build` against bare cursors that build and swap the same tables.

Every table of a layer joins two of the layer above. The bare program starts a table when its two inputs are there,
builds it beside the old one and swaps it in, with as many cursors as sqb has connections.

    python benchmarks/models.py [LAYERS] [WIDTH] [ROWS]
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from measuring import new_project, print_table, run, sqb, whole_numbers

FIRST = "SELECT range AS id, range % 97 AS k, hash(range + {number}) % 1000 AS v FROM range({rows})"
LATER = "SELECT a.id, a.k, (a.v + b.v) % 1000 AS v FROM {left} AS a JOIN {right} AS b ON a.id = b.id"
RAW = """
import json, sys, duckdb
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

tables = {name: (sql, set(inputs)) for name, sql, inputs in json.load(open("tables.json"))}
connection = duckdb.connect("bare.duckdb")
connection.execute("CREATE SCHEMA dev")

def build(name):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE dev.{name}__staging AS {tables[name][0]}")
        cursor.execute("BEGIN")
        cursor.execute(f"DROP TABLE IF EXISTS dev.{name}")
        cursor.execute(f"ALTER TABLE dev.{name}__staging RENAME TO {name}")
        cursor.execute("COMMIT")
    return name

waiting = {name: set(inputs) for name, (_, inputs) in tables.items()}
with ThreadPoolExecutor(int(sys.argv[1])) as pool:
    running = set()
    while waiting or running:
        for name in [name for name, inputs in waiting.items() if not inputs]:
            del waiting[name]
            running.add(pool.submit(build, name))
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for name in (future.result() for future in done):
            for inputs in waiting.values():
                inputs.discard(name)
connection.close()
"""


def layered(layers: int, width: int, rows: int) -> list[tuple[str, str, list[str]]]:
    """Name, SQL with `{name}` for each input, and inputs of every table."""
    tables = [(f"t_00_{number:02}", FIRST.format(number=number, rows=rows), []) for number in range(width)]
    for layer in range(1, layers):
        for number in range(width):
            inputs = [f"t_{layer - 1:02}_{number:02}", f"t_{layer - 1:02}_{(number + 1) % width:02}"]
            tables.append((f"t_{layer:02}_{number:02}", LATER.format(left="{0}", right="{1}"), inputs))
    return tables


def main() -> None:
    layers, width, rows = whole_numbers(__doc__, layers=20, width=10, rows=100_000)
    tables = layered(layers, width, rows)
    models = {
        f"models/{name}.sql": "MODEL (materialized table);\n"
        + sql.format(*(f'__ref("{each}")' for each in inputs))
        + "\n"
        for name, sql, inputs in tables
    }
    results = []
    for connections in (1, 4):
        with tempfile.TemporaryDirectory() as folder:
            project = new_project(Path(folder), models)
            bare_tables = [
                (name, sql.format(*(f"dev.{each}" for each in inputs)), inputs) for name, sql, inputs in tables
            ]
            (project / "tables.json").write_text(json.dumps(bare_tables))
            (project / "bare.py").write_text(RAW)
            bare = run("bare.py", str(connections), directory=project)
            first = sqb("build", project, "--quiet", "--connections", str(connections))
            again = sqb("build", project, "--quiet", "--connections", str(connections))
        for name, cost in (("bare cursors", bare), ("sqb build, first", first), ("sqb build, again", again)):
            results.append(
                (f"{name}, {connections} at once", cost.wall, cost.cpu, cost.wall / bare.wall, f"{cost.peak:,.0f}")
            )
    print_table(
        f"{layers * width} DuckDB tables in {layers} layers, {rows:,} rows each",
        ("", "wall s", "CPU s", "ratio to bare", "peak MB"),
        results,
    )


if __name__ == "__main__":
    main()
