"""Five million rows out of PostgreSQL: exports, against asyncpg's own COPY of the same table to a CSV file.

Each is a process of its own, on one server, in turns. The bare side is `copy_from_query(..., output=path, format="csv")`
on a connection that is open already; an export's time is that of its node, with the hash and the flush of its file. An
export to Parquet may take 1.5 times as long, in 300 MB.

    python benchmarks/postgres_exports.py [--rows 5000000] [--rounds 5] [EXPORT ...]      starts a server of its own
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/servers"))

from measuring import new_project, print_table, run
from postgres_server import running_server

TABLE = """
CREATE TABLE bench.rows AS
SELECT i::bigint AS id, 'row number ' || i || ', "quoted"' AS text, (i % 1000000 / 100.0)::numeric(12,2) AS amount,
    timestamptz '2020-01-01' + i * interval '1.234567 s' AS at, sqrt(i) AS root
FROM generate_series(1, {rows}) AS i
"""
SETTINGS = """
name = "bench"
adapter = "postgres"
[connections.server]
dsn = "{dsn}"
[targets.dev]
connection = "server"
schema = "bench"
"""
NODES = """
from sqlbuild.assets import asset

QUERY = "SELECT * FROM bench.rows"

def declare(suffix):
    @asset(name=suffix.replace(".", "_"))
    async def export(ctx):
        return (await ctx.export(QUERY, f"exports/rows.{suffix}")).rows

for suffix in ("parquet", "csv", "csv.gz", "jsonl", "arrow"):
    declare(suffix)

@asset
async def partitioned(ctx):
    return (await ctx.export(f"SELECT *, id % 20 AS part FROM ({QUERY}) q", "exports/parts", "parquet", partition_by="part")).rows

@asset
async def batches(ctx):
    return sum([batch.num_rows async for batch in ctx.query(QUERY).batches()])
"""
CASES = ("parquet", "partitioned", "csv", "csv_gz", "jsonl", "arrow", "batches")
OURS = """
import sys, sqlbuild
run = sqlbuild.build(sys.argv[1], select=sys.argv[2])
run.raise_for_failures()
(node,) = run.results.values()
open(sys.argv[3], "w").write(str(node.finished_at - node.started_at))
"""
BARE = """
import asyncio, importlib.util, sys, time
import asyncpg

async def main(dsn, path, told):
    connection = await asyncpg.connect(dsn)
    began = time.perf_counter()
    await connection.copy_from_query("SELECT * FROM bench.rows", output=path, format="csv")
    open(told, "w").write(str(time.perf_counter() - began))
    await connection.close()

if importlib.util.find_spec("uvloop"):
    import uvloop
    uvloop.run(main(*sys.argv[1:]))
else:
    asyncio.run(main(*sys.argv[1:]))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("exports", metavar="EXPORT", nargs="*", help=f"all without any: {', '.join(CASES)}")
    given = arguments.parse_args()
    rows, rounds, cases = given.rows, given.rounds, tuple(given.exports) or CASES
    unknown = set(cases) - set(CASES)
    if unknown:
        arguments.error(f"no export is called {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        dsn = server.dsn()
        server.sql("CREATE SCHEMA bench")
        server.sql(TABLE.format(rows=rows))
        server.sql("VACUUM ANALYZE bench.rows")
        files = {"sqlbuild_project.toml": SETTINGS.format(dsn=dsn), "assets/exports.py": NODES}
        project = new_project(Path(folder), files)
        told = Path(folder, "told")
        walls: dict[str, list[float]] = {name: [] for name in ("bare", *cases)}
        ratios: dict[str, list[float]] = {name: [] for name in cases}
        peaks: dict[str, float] = dict.fromkeys(walls, 0.0)

        def measure(name: str, *command: str) -> float:
            cost = run("-c", *command)
            walls[name].append(float(told.read_text()))
            peaks[name] = max(peaks[name], cost.peak)
            return walls[name][-1]

        for case in cases * rounds:
            bare = measure("bare", BARE, dsn, str(project / "bare.csv"), str(told))
            ratios[case].append(measure(case, OURS, str(project), case, str(told)) / bare)
            os.unlink(project / "bare.csv")
    table = [("asyncpg's COPY to a CSV file", statistics.median(walls["bare"]), 1.0, 1.0, peaks["bare"])]
    table += [
        (case, statistics.median(walls[case]), statistics.median(ratios[case]), max(ratios[case]), peaks[case])
        for case in cases
    ]
    header = ("export", "wall s", "times bare", "at most", "peak MB")
    print_table(f"{rows:,} rows of 5 columns, medians of {rounds}", header, table)


if __name__ == "__main__":
    main()
