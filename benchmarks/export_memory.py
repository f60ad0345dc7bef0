"""Exports of a tenth of a gigabyte and of a whole one, as CSV: what they take, and whether memory grows with the rows.

Each is a whole `sqb build` in a process of its own, with 500 MB for DuckDB. `slow` has a consumer that takes 50 MB/s: whoever gives the
batches has to wait.

    python benchmarks/export_memory.py [--megabytes 1000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from measuring import new_project, print_table, sqb

ROW_BYTES = 105
SETTINGS = """
name = "bench"
[connections.local]
database = "bench.duckdb"
settings = { memory_limit = "500MB" }
[targets.dev]
connection = "local"
schema = "main"
"""
MODEL = """
MODEL (materialized table);
SELECT range AS n, md5(range::VARCHAR) || md5((range + 1)::VARCHAR) || repeat('x', 32) AS text
FROM range({rows})
"""
NODES = """
import os, time
from sqlbuild.assets import asset
from sqlbuild.refs import model

ROWS = int(os.environ["ROWS"])
QUERY = f"SELECT range AS n, md5(range::VARCHAR) || md5((range + 1)::VARCHAR) || repeat('x', 32) AS text FROM range({ROWS})"

@asset(depends_on=model("numbers"))
def table(ctx):
    return ctx.export(model("numbers"), "exports/a." + os.environ["FORMAT"]).rows

@asset
def copied(ctx):
    return ctx.export(QUERY, "exports/a." + os.environ["FORMAT"]).rows

@asset
async def partitioned(ctx):
    sql = f"SELECT *, n % 20 AS part FROM ({QUERY})"
    return (await ctx.export(sql, "exports/parts", os.environ["FORMAT"], partition_by="part")).rows

@asset
async def batches(ctx):
    return (await ctx.export(ctx.query(QUERY).batches(), "exports/a." + os.environ["FORMAT"])).rows

@asset
async def slow(ctx):
    from sqlbuild.runner.exporting.outputs import LocalOutput

    write = LocalOutput._write

    def slowly(self, data):
        time.sleep(len(data) / 50_000_000)
        write(self, data)

    LocalOutput._write = slowly
    return (await ctx.export(ctx.query(QUERY).batches(), "exports/a." + os.environ["FORMAT"])).rows
"""
CASES = (
    ("table", "csv"),
    ("table", "parquet"),
    ("copied", "csv"),
    ("copied", "parquet"),
    ("copied", "jsonl"),
    ("partitioned", "parquet"),
    ("batches", "parquet"),
    ("batches", "arrow"),
    ("batches", "csv"),
    ("slow", "parquet"),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--megabytes", type=int, default=1_000, help="of the rows of the larger export, as CSV")
    megabytes = arguments.parse_args().megabytes
    rows = []
    for node, format in CASES:
        costs = []
        for size in (megabytes // 10, megabytes):
            os.environ.update(ROWS=str(size * 1_000_000 // ROW_BYTES), FORMAT=format)
            with tempfile.TemporaryDirectory() as folder:
                files = {
                    "sqlbuild_project.toml": SETTINGS,
                    "models/numbers.sql": MODEL.format(rows=os.environ["ROWS"]),
                    "assets/exports.py": NODES,
                }
                project = new_project(Path(folder), files)
                costs.append(sqb("build", project, "--quiet", "--select", node))
        small, large = costs
        rows.append((f"{node}, {format}", small.wall, large.wall, small.peak, large.peak, large.peak - small.peak))
    print_table(
        f"{megabytes // 10:,} MB and {megabytes:,} MB of rows",
        ("export", "small s", "large s", "small peak MB", "large peak MB", "more MB"),
        rows,
    )


if __name__ == "__main__":
    main()
