"""Many builds in one process, half of them cancelled: `soaking.py FOLDER RUNS` prints what the process held after each.

One JSON object a line, after a garbage collection. `test_soak.py` runs it and looks at the numbers.
"""

from __future__ import annotations

import _thread
import asyncio
import collections
import contextlib
import gc
import itertools
import json
import os
import random
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import trio

import sqlbuild

PROJECT = {
    "sqlbuild_project.toml": """
        name = "soak"
        [settings]
        keep_runs = 5
        [pools.service]
        slots = 3
    """,
    "sources/raw.yml": "sources:\n  - {name: raw_events, managed: true}\n",
    "models/stg_events.sql": 'MODEL (materialized view);\nSELECT n, n % 10 AS kind FROM __source("raw_events")\n',
    "models/totals.sql": """
        MODEL (materialized table);
        SELECT kind, count(*) AS events FROM __ref("stg_events") GROUP BY kind
    """,
    "python/nodes.py": """
        import time
        import anyio
        from sqlbuild.assets import asset
        from sqlbuild.loaders import loader
        from sqlbuild.refs import model
        from sqlbuild.retries import RetryPolicy
        from sqlbuild.tasks import task

        @loader
        def raw_events(ctx):
            yield [{"n": n} for n in range(3_000)]

        for index in range(20):
            @task(name=f"waits_{index}", pool="service")
            async def waits(ctx, index=index):
                print("waiting")
                await anyio.sleep(0.005)
                return index

        @task(retry=RetryPolicy(max_attempts=2, initial_delay_seconds=0.01))
        def flaky(ctx):
            time.sleep(0.01)
            if ctx.attempt == 1:
                raise ValueError("again")

        @asset(depends_on=model("totals"))
        async def exported(ctx):
            await ctx.export(model("totals"), "exports/totals.csv")
            rows = await ctx.query(f"SELECT kind FROM {ctx.relation(model('totals'))}").fetchall()

            async def send(row):
                await anyio.sleep(0.001)
                return row[0]

            return await ctx.map(send, rows, key=lambda row: row[0])

        @task
        def counts(ctx):
            return sum(ctx.map(lambda n: ctx.query("SELECT 1").scalar() + n, range(20)))

        @task(isolate="process", tags=["process"])
        def apart(ctx):
            return ctx.query("SELECT 1").scalar()
    """,
}
IN_A_PROCESS_OF_THEIR_OWN = 7
"""Every so many runs also have the node that needs one: it takes as long as several others."""


def main(folder: str, runs: int) -> None:
    write(folder)
    draw = random.Random(24)
    endings: collections.Counter[str] = collections.Counter()
    with asyncio.Runner() as runner:
        ways = itertools.cycle(
            [
                ("build", lambda options: sqlbuild.build(folder, **options)),
                ("cancelled on asyncio", lambda options: runner.run(cancelled(folder, draw, options))),
                ("build on trio", lambda options: sqlbuild.build(folder, backend="trio", **options)),
                ("interrupted", lambda options: interrupted(folder, draw, options)),
                ("abuild", lambda options: runner.run(sqlbuild.abuild(folder, **options))),
                ("cancelled on trio", lambda options: trio.run(cancelled, folder, draw, options)),
            ]
        )
        for number, (way, run) in zip(range(runs), ways, strict=False):
            apart = number % IN_A_PROCESS_OF_THEIR_OWN == 0
            ended = how_it_ended(run, {"grace": 30.0} | ({} if apart else {"exclude": "tag:process"}))
            endings[ended] += 1
            tell(number, way, ended, runner.get_loop())


def write(folder: str) -> None:
    for name, text in PROJECT.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def how_it_ended(run: Callable[[dict[str, object]], object], options: dict[str, object]) -> str:
    try:
        result = run(options)
    except KeyboardInterrupt:
        return "interrupted"
    return "cancelled" if result is None else str(result.exit_code)


async def cancelled(folder: str, draw: random.Random, options: dict[str, object]) -> sqlbuild.RunResult | None:
    """Begun, and cancelled within the time that it takes."""
    with anyio.move_on_after(draw.uniform(0.0, 0.2)):
        return await sqlbuild.abuild(folder, **options)
    return None


def interrupted(folder: str, draw: random.Random, options: dict[str, object]) -> sqlbuild.RunResult:
    """Stopped by Ctrl-C, once its first node has begun."""
    begun = threading.Event()

    def press() -> None:
        begun.wait()
        _thread.interrupt_main()

    presses = threading.Thread(target=press)
    presses.start()
    try:
        return sqlbuild.build(folder, on_event=lambda event: begun.set(), **options)
    finally:
        begun.set()
        with contextlib.suppress(KeyboardInterrupt):
            presses.join()


def tell(number: int, way: str, ended: str, loop: asyncio.AbstractEventLoop) -> None:
    gc.collect()
    descriptors = [link(name) for name in os.listdir("/proc/self/fd")]
    held = {
        "run": number,
        "way": way,
        "ended": ended,
        "threads": threading.active_count(),
        "descriptors": len(descriptors),
        "of_the_project": [path for path in descriptors if path.startswith(os.path.realpath(sys.argv[1]) + os.sep)],
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text().split(),
        "tasks": len(asyncio.all_tasks(loop)),
        "objects": len(gc.get_objects()),
        "bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"),
    }
    print(json.dumps(held), flush=True)


def link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:  # that of the folder that was listed
        return ""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
