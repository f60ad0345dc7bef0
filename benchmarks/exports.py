"""200 exports that each wait half a second: a whole `sqb build` against the bare loop or thread pool that does the same.

Both are whole processes, started one after the other.

    python benchmarks/exports.py
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from measuring import new_project, print_table, run, sqb, whole_numbers

EXPORTS = 200
SECONDS = 0.5
ASYNC_ASSETS = f"""
import anyio
from sqlbuild.assets import asset

def make(number):
    @asset(name=f"export_{{number:03}}")
    async def export(ctx):
        await anyio.sleep({SECONDS})
        return ctx.result({{"number": number}}, materialized=True)

for number in range({EXPORTS}):
    make(number)
"""
ASSETS = ASYNC_ASSETS.replace("async def", "def").replace("await anyio.sleep", "time.sleep").replace("anyio", "time")
RAW_ASYNC = f"""
import asyncio

async def main(limit):
    room = asyncio.Semaphore(limit)
    async def export(number):
        async with room:
            await asyncio.sleep({SECONDS})
    await asyncio.gather(*(export(number) for number in range({EXPORTS})))

asyncio.run(main({{limit}}))
"""
RAW_THREADS = f"""
import time
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor({{limit}}) as pool:
    list(pool.map(lambda number: time.sleep({SECONDS}), range({EXPORTS})))
"""
CASES = (
    ("async def, 200 at once", ASYNC_ASSETS, RAW_ASYNC, 200, ("--concurrency", "200")),
    ("async def, default of 64", ASYNC_ASSETS, RAW_ASYNC, 64, ()),
    ("def, default of 16 threads", ASSETS, RAW_THREADS, 16, ()),
    ("def, 64 threads", ASSETS, RAW_THREADS, 64, ("--threads", "64")),
)


def main() -> None:
    whole_numbers(__doc__)
    rows = []
    for name, assets, raw, limit, options in CASES:
        with tempfile.TemporaryDirectory() as folder:
            project = new_project(Path(folder), {"assets/exports.py": assets})
            bare = run("-c", raw.format(limit=limit))
            built = sqb("build", project, "--quiet", *options)
        ideal = math.ceil(EXPORTS / limit) * SECONDS
        rows.append((name, ideal, bare.wall, built.wall, built.wall / bare.wall, built.wall - bare.wall))
    print_table(
        f"{EXPORTS} exports of {SECONDS} s",
        ("shape", "ideal s", "bare Python s", "sqb build s", "ratio", "more s"),
        rows,
    )


if __name__ == "__main__":
    main()
