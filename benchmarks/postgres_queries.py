"""Many async nodes with one short query each on PostgreSQL, against the same queries on a bare asyncpg pool.

Both sides use the same number of connections to the same server and are run in turns, each in a process of its own; the
time is that from the first query's start to the last one's end, connecting included. A node may cost 1.3 times a query
of the bare pool where queries take a few milliseconds; `SELECT 1` shows what the engine itself adds. On trio asyncpg
runs in a thread beside the event loop.

    python benchmarks/postgres_queries.py [NODES] [CONNECTIONS]     default 500 and 8; starts a server of its own
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/servers"))

from measuring import new_project, print_table, whole_numbers
from postgres_server import running_server

ROUNDS = 5
QUERIES = {
    "SELECT 1": "SELECT 1",
    "about 1 ms": "SELECT sum(g) FROM generate_series(1, 8000) AS g",
    "about 5 ms": "SELECT sum(g) FROM generate_series(1, 40000) AS g",
    "waiting 10 ms": "SELECT 1 FROM pg_sleep(0.01)",
}
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
from sqlbuild.tasks import task
for number in range({nodes}):
    @task(name=f"query_{{number}}")
    async def query(ctx, number=number):
        return await ctx.query({sql!r}).scalar()
"""
OURS = """
import sys, sqlbuild
run = sqlbuild.build(sys.argv[1], connections=int(sys.argv[2]), concurrency=256, backend=sys.argv[3])
run.raise_for_failures()
print(max(each.finished_at for each in run.results.values()) - min(each.started_at for each in run.results.values()))
"""
BARE = """
import asyncio, sys, time
import asyncpg

async def main(dsn, nodes, connections, sql):
    started = time.perf_counter()
    async with asyncpg.create_pool(dsn, min_size=connections, max_size=connections) as pool:
        await asyncio.gather(*(pool.fetchval(sql) for _ in range(nodes)))
        print(time.perf_counter() - started)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
"""


def seconds(program: str, *arguments: object) -> float:
    """What the program prints last."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(ended.stderr)
    return float(ended.stdout.split()[-1])


def main() -> None:
    nodes, connections = whole_numbers(__doc__, nodes=500, connections=8)
    rows = []
    with running_server() as server:
        for name, sql in QUERIES.items():
            with tempfile.TemporaryDirectory() as folder, server.new_database() as database:
                dsn = server.dsn(database)
                files = {
                    "sqlbuild_project.toml": SETTINGS.format(dsn=dsn),
                    "tasks/q.py": NODES.format(nodes=nodes, sql=sql),
                }
                project = new_project(Path(folder), files)
                found: dict[str, list[float]] = {"bare": [], "asyncio": [], "trio": []}
                for _ in range(ROUNDS):
                    found["bare"].append(seconds(BARE, dsn, nodes, connections, sql))
                    for backend in ("asyncio", "trio"):
                        found[backend].append(seconds(OURS, project, connections, backend))
                bare, ours, on_trio = (statistics.median(each) for each in found.values())
                rows.append((name, bare * 1e3, ours * 1e3, ours / bare, on_trio * 1e3, on_trio / bare))
    header = ("each query", "bare pool, ms", "asyncio, ms", "ratio", "trio, ms", "ratio")
    print_table(f"{nodes} nodes, {connections} connections", header, rows)


if __name__ == "__main__":
    main()
