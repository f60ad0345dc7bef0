"""A million dicts into PostgreSQL: a loader, against the same dicts as tuples given to asyncpg's copy_records_to_table.

Both run in turns, in one process, on one server, and get the same list of dicts, which is made before. The bare side
makes a list of tuples of them and copies it into an empty table; connecting is not counted. The loader's time is that of
its node: rows are staged, checked, and swapped in with a commit marker. It may take 1.3 times as long.

    python benchmarks/postgres_loading.py [ROWS]     default 1,000,000; starts a server of its own
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/servers"))

from measuring import new_project, whole_numbers
from postgres_server import running_server

SETTINGS = """
name = "bench"
adapter = "postgres"
[connections.server]
dsn = "{dsn}"
[targets.dev]
connection = "server"
schema = "bench"
"""
LOADERS = """
import bench_rows
from sqlbuild.loaders import loader

def pages():
    return (bench_rows.ROWS[start : start + 10_000] for start in range(0, len(bench_rows.ROWS), 10_000))

@loader(destination="bench.returned")
def returned(ctx):
    return bench_rows.ROWS

@loader(destination="bench.paged")
def paged(ctx):
    yield from pages()

@loader(destination="bench.paged_async")
async def paged_async(ctx):
    for page in pages():
        yield page

@loader(destination="bench.one_by_one")
def one_by_one(ctx):
    yield from bench_rows.ROWS

@loader(destination="bench.appended", write_strategy="append")
def appended(ctx):
    yield from pages()

@loader(destination="bench.merged", write_strategy="merge", unique_key="id")
def merged(ctx):
    yield from pages()
"""
PROGRAM = '''
"""Arguments: DSN, folder of the project, rows. Prints what is to be shown."""
import asyncio, datetime, importlib.util, statistics, sys, time, types
import asyncpg, sqlbuild
from measuring import print_table

DSN, PROJECT, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
ROUNDS = 5
START = datetime.datetime(2024, 1, 1)
ROWS = [
    {"id": n, "name": f"customer {n % 1000}", "amount": n * 0.25, "at": START + datetime.timedelta(seconds=n), "paid": n % 2 == 0}
    for n in range(COUNT)
]
sys.modules["bench_rows"] = types.ModuleType("bench_rows")
sys.modules["bench_rows"].ROWS = ROWS
SHAPES = ("returned", "paged", "paged_async", "one_by_one", "appended", "merged")

async def bare():
    connection = await asyncpg.connect(DSN)
    await connection.execute("DROP TABLE IF EXISTS bare")
    await connection.execute("CREATE TABLE bare (id bigint, name text, amount float8, at timestamp, paid boolean)")
    wall, cpu = time.perf_counter(), time.process_time()
    await connection.copy_records_to_table("bare", records=[tuple(row.values()) for row in ROWS], columns=list(ROWS[0]))
    spent = time.perf_counter() - wall, time.process_time() - cpu
    await connection.close()
    return spent

def load(shape):
    cpu = time.process_time()
    run = sqlbuild.build(PROJECT, select=shape)
    run.raise_for_failures()
    (node,) = run.results.values()
    return node.finished_at - node.started_at, time.process_time() - cpu

def run_bare():
    if importlib.util.find_spec("uvloop"):
        import uvloop
        return uvloop.run(bare())
    return asyncio.run(bare())

found = {"bare": [], **{shape: [] for shape in SHAPES}}
for _ in range(ROUNDS):
    for shape in SHAPES:
        found["bare"].append(run_bare())
        found[shape].append(load(shape))
walls = {shape: statistics.median(wall for wall, _ in each) for shape, each in found.items()}
cpus = {shape: statistics.median(cpu for _, cpu in each) for shape, each in found.items()}
table = [(shape, walls[shape], cpus[shape], walls[shape] / walls["bare"]) for shape in found]
print_table(f"{COUNT:,} dicts of 5 values, medians", ("shape", "wall s", "cpu s", "times bare"), table)
'''


def main() -> None:
    (rows,) = whole_numbers(__doc__, rows=1_000_000)
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        files = {"sqlbuild_project.toml": SETTINGS.format(dsn=server.dsn()), "loaders/rows.py": LOADERS}
        project = new_project(Path(folder), files)
        program = Path(folder, "program.py")
        program.write_text(f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{PROGRAM}")
        command = [sys.executable, str(program), server.dsn(), str(project), str(rows)]
        sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
