"""SQL models in layers on DuckDB: whole processes, from the start of Python to the end of the last table.

Every table of a layer joins two of the layer above. The limit is a program that starts a table when its two inputs are
there, with as many cursors as sqb has connections. `staged` builds each table beside the old one and swaps it in, which
is what sqb does: the old table stays readable until then, and stays if the new one fails. `again` is a build of all of
it where the tables are there already.

    python benchmarks/models.py [LAYERS] [WIDTH] [ROWS] [--rounds N] [--peers] [--json FILE]
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from comparing import Entry, Sample, compare, read_options
from measuring import new_project, run, sqb
from peers import DBT_FILES, PUBLISHED_PROJECT, SQLMESH_CONFIG, run_peer

FIRST = "SELECT range AS id, range % 97 AS k, hash(range + {number}) % 1000 AS v FROM range({rows})"
LATER = "SELECT a.id, a.k, (a.v + b.v) % 1000 AS v FROM {left} AS a JOIN {right} AS b ON a.id = b.id"
RAW = """
import json, sys, duckdb
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

cursors, staged = int(sys.argv[1]), sys.argv[2] == "staged"
tables = {name: (sql, set(inputs)) for name, sql, inputs in json.load(open("tables.json"))}
connection = duckdb.connect("bench.duckdb")
connection.execute("CREATE SCHEMA dev")

def build(name):
    with connection.cursor() as cursor:
        if not staged:
            cursor.execute(f"CREATE TABLE dev.{name} AS {tables[name][0]}")
            return name
        cursor.execute(f"CREATE TABLE dev.{name}__staging AS {tables[name][0]}")
        cursor.execute("BEGIN")
        cursor.execute(f"DROP TABLE IF EXISTS dev.{name}")
        cursor.execute(f"ALTER TABLE dev.{name}__staging RENAME TO {name}")
        cursor.execute("COMMIT")
    return name

waiting = {name: set(inputs) for name, (_, inputs) in tables.items()}
with ThreadPoolExecutor(cursors) as pool:
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
Table = tuple[str, str, list[str]]


def layered(layers: int, width: int, rows: int) -> list[Table]:
    """Name, SQL with `{0}` and `{1}` for its inputs, and inputs of every table."""
    tables = [(f"t_00_{number:02}", FIRST.format(number=number, rows=rows), list[str]()) for number in range(width)]
    for layer in range(1, layers):
        for number in range(width):
            inputs = [f"t_{layer - 1:02}_{number:02}", f"t_{layer - 1:02}_{(number + 1) % width:02}"]
            tables.append((f"t_{layer:02}_{number:02}", LATER.format(left="{0}", right="{1}"), inputs))
    return tables


def model_files(tables: Sequence[Table], reference: str, header: str = "") -> dict[str, str]:
    """A file for each table; `{}` in `reference` is what it reads, in `header` its own name."""
    return {
        f"models/{name}.sql": header.format(name) + sql.format(*(reference.format(each) for each in inputs)) + "\n"
        for name, sql, inputs in tables
    }


def main() -> None:
    options = read_options(__doc__, layers=20, width=10, rows=100_000)
    layers, width, rows = options.sizes
    with tempfile.TemporaryDirectory() as folder:
        compare(
            f"{layers * width} DuckDB tables in {layers} layers, {rows:,} rows each",
            "s",
            entries(Path(folder), layered(layers, width, rows)),
            options,
        )


def entries(root: Path, tables: Sequence[Table]) -> list[Entry]:
    sqb_files = model_files(tables, '__ref("{}")', "MODEL (materialized table, description 'one of the layers');\n")
    bare = json.dumps([(name, sql.format(*(f"dev.{each}" for each in inputs)), inputs) for name, sql, inputs in tables])
    dbt_files = {**DBT_FILES, **model_files(tables, "{{{{ ref('{}') }}}}")}
    sqlmesh_files = {
        "config.yaml": SQLMESH_CONFIG,
        **model_files(tables, "dev.{}", "MODEL (name dev.{}, kind FULL);\n"),
    }

    def new(name: str, files: dict[str, str]) -> Path:
        shutil.rmtree(root / name, ignore_errors=True)
        return new_project(root / name, files)

    def raw(cursors: int, how: str) -> Callable[[], Sample]:
        def measure() -> Sample:
            project = new("raw", {"tables.json": bare, "bare.py": RAW})
            return Sample.of(run("bare.py", str(cursors), how, directory=project))

        return measure

    def first(connections: int) -> Sample:
        project = new("sqb", sqb_files)
        return Sample.of(sqb("build", project, "--quiet", "--connections", str(connections)))

    def again(*more: str) -> Sample:
        return Sample.of(sqb("build", root / "sqb", "--quiet", *more))

    def peer(name: str, program: str, *arguments: str, files: dict[str, str] | None = None) -> Callable[[], Sample]:
        """In a new folder if there are `files`, else in that of the run before."""

        def measure() -> Sample:
            project = root / name if files is None else new(name, files)
            if files is None and not project.exists():
                project = new(name, {})
            return Sample.of(run_peer(name, program, *arguments, directory=project))

        return measure

    published = ("build", "--concurrency", "4")
    dbt = ("run", "--profiles-dir", ".")
    sqlmesh = ("plan", "--auto-apply", "--no-prompts")
    published_files = {**sqb_files, "sqlbuild_project.toml": PUBLISHED_PROJECT}
    return [
        Entry("raw, 4 cursors", raw(4, "straight")),
        Entry("raw, 4 cursors, staged", raw(4, "staged")),
        Entry("raw, 1 cursor, staged", raw(1, "staged")),
        Entry("sqb build, 1 connection, first", lambda: first(1)),
        Entry("sqb build, 1 connection, again", lambda: again("--connections", "1")),
        Entry("sqb build, 4 connections, first", lambda: first(4)),
        Entry("sqb build, 4 connections, again", lambda: again("--connections", "4")),
        Entry("sqb build --changed, nothing changed", lambda: again("--connections", "4", "--changed")),
        *(
            Entry(name, measure, is_peer=True)
            for name, measure in (
                (
                    "published sqlbuild, 4 at once, first",
                    peer("published sqlbuild", "sqb", *published, files=published_files),
                ),
                ("published sqlbuild, 4 at once, again", peer("published sqlbuild", "sqb", *published)),
                ("dbt run, 4 threads, first", peer("dbt", "dbt", *dbt, files=dbt_files)),
                ("dbt run, 4 threads, again", peer("dbt", "dbt", *dbt)),
                ("sqlmesh plan, 4 tasks, first", peer("sqlmesh", "sqlmesh", *sqlmesh, files=sqlmesh_files)),
                ("sqlmesh plan, nothing changed", peer("sqlmesh", "sqlmesh", *sqlmesh)),
            )
        ),
    ]


if __name__ == "__main__":
    main()
