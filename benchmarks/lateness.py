"""W6: how late the event loop is while a run is busy.

A ticker, an async asset, wants to wake every 10 ms, and measures how much later it does. In the same run 100 async nodes
sleep and compute a little, and four async nodes work with the warehouse over and over until the ticker has ended: they
aggregate, read rows in batches, export to Parquet, or fetch a result of a million rows at once. The limits are the same
ticker on an event loop that has nothing else to do, and beside four threads that aggregate with DuckDB alone.

The tables show the median, the 99th percentile and the maximum of the same runs, in milliseconds.

    python benchmarks/lateness.py [TICKS] [ROWS]
"""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from comparing import Entry, Sample, compare, read_options
from measuring import Cost, new_project, run, sqb

SHOWN = ("p50", "p99", "max")
TICKER = """
import time

async def late(sleep, ticks):
    found = []
    for _ in range(ticks):
        wanted = time.perf_counter() + 0.01
        await sleep(0.01)
        found.append((time.perf_counter() - wanted) * 1000)
    found.sort()
    return {"p50": found[len(found) // 2], "p99": found[len(found) * 99 // 100], "max": found[-1]}
"""
LIMIT = """
import json, sys, threading
from pathlib import Path
import anyio, duckdb

threads, ticks, rows = map(int, sys.argv[1:])
ended = False

def aggregate(connection):
    while not ended:
        connection.execute(f"SELECT count(DISTINCT hash(range) % 100000), sum(range) FROM range({rows})").fetchone()

async def main():
    global ended
    with duckdb.connect("bench.duckdb") as connection:
        working = [threading.Thread(target=aggregate, args=[connection.cursor()]) for _ in range(threads)]
        for thread in working:
            thread.start()
        found = await late(anyio.sleep, ticks)
        ended = True
        for thread in working:
            thread.join()
    Path("late.json").write_text(json.dumps(found))

try:
    import uvloop
except ImportError:
    uvloop = None
anyio.run(main, backend_options={"use_uvloop": uvloop is not None})
"""
ASSETS = """
import anyio
from sqlbuild.assets import asset
from sqlbuild.tasks import task

TICKS, ROWS, ended = {ticks}, {rows}, False

@asset
async def ticker(ctx):
    global ended
    await anyio.sleep(0.2)  # until the others work
    try:
        return ctx.result(metadata=await late(anyio.sleep, TICKS), materialized=True)
    finally:
        ended = True

def make_worker(number):
    @task(name=f"worker_{{number:03}}")
    async def worker(ctx):
        while not ended:
            await anyio.sleep(0.05)
            sum(range(500))

def make_heavy(number):
    @task(name=f"heavy_{{number}}")
    async def heavy(ctx):
        while not ended:
            {work}

for number in range(100):
    make_worker(number)
for number in range(4):
    make_heavy(number)
"""
SQL = "SELECT range AS id, range % 7 AS kind, range * 1.5 AS amount, 'name ' || range AS name FROM range({ROWS})"
WORK = {
    "async nodes only": "await anyio.sleep(0.05)",
    "four queries that aggregate": 'await ctx.query(f"SELECT count(DISTINCT hash(range) % 100000), sum(range) FROM range({ROWS})").fetchone()',
    "four exports": f'await ctx.export(f"{SQL}", f"exports/{{number}}.parquet")',
    "four readers in batches": f'async for batch in ctx.query(f"{SQL}").batches(): len(batch)',
    "four times fetchall": f'await ctx.query(f"{SQL}").fetchall()',
}
"""What is done by each of the four heavy nodes."""

Measured = tuple[dict[str, float], Cost]


def main() -> None:
    options = read_options(__doc__, rounds=1, ticks=500, rows=2_000_000)
    ticks, rows = options.sizes
    programs: dict[str, Callable[[], Measured]] = {
        "bare loop with nothing to do": functools.partial(bare, 0, ticks, rows),
        "bare loop, DuckDB in four threads": functools.partial(bare, 4, ticks, rows),
        **{
            f"sqb build, {name}": functools.partial(in_build, work, ticks, rows // 4 if "fetchall" in name else rows)
            for name, work in WORK.items()
        },
    }
    kept: dict[tuple[str, str], list[Sample]] = defaultdict(list)

    def statistic(name: str, shown: str) -> Sample:
        """One run gives a value for each of the tables."""
        if not kept[name, shown]:
            found, cost = programs[name]()
            for each in SHOWN:
                kept[name, each].append(dataclasses.replace(Sample.of(cost), value=found[each]))
        return kept[name, shown].pop(0)

    for shown in ("p99", "p50", "max"):
        entries = [Entry(name, functools.partial(statistic, name, shown)) for name in programs]
        compare(f"W6 lateness of a ticker of 10 ms, {shown}", "ms", entries, options)


def bare(threads: int, ticks: int, rows: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        cost = run("-c", TICKER + LIMIT, *map(str, (threads, ticks, rows)), directory=Path(folder))
        return json.loads((Path(folder) / "late.json").read_text()), cost


def in_build(work: str, ticks: int, rows: int) -> Measured:
    code = TICKER + ASSETS.format(ticks=ticks, rows=rows, work=work)
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder), {"assets/ticker.py": code})
        cost = sqb("build", project, "--quiet", "--concurrency", "128")
        results = json.loads((project / "target/run_results.json").read_text())["results"]
    return next(result["metadata"] for result in results if result["name"] == "ticker"), cost


if __name__ == "__main__":
    main()
