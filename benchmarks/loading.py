"""Loaders on DuckDB, as whole processes: dicts against bare pyarrow and DuckDB, and how memory stays as rows grow.

The bare program does the least that loads dicts: batches of 50,000 become Arrow tables by `Table.from_pylist`, and each
is inserted into the table. `sqb load` gives the same rows from a generator; it may cost at most twice as much.

    python benchmarks/loading.py [ROWS] [MANY_ROWS]     default 1,000,000 and 3,000,000; the goal: 10,000,000
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from measuring import Cost, new_project, print_table, run, sqb, whole_numbers

ROWS = """
import datetime
START = datetime.datetime(2024, 1, 1)

def rows(count):
    for n in range(count):
        yield {"id": n, "name": f"customer {n % 1000}", "amount": n * 0.25, "at": START, "paid": n % 2 == 0}
"""
BARE = (
    ROWS
    + """
import itertools, sys
import duckdb, pyarrow

given = rows(int(sys.argv[1]))
connection = duckdb.connect("bare.duckdb")
connection.execute('CREATE TABLE raw (id BIGINT, name VARCHAR, amount DOUBLE, "at" TIMESTAMP, paid BOOLEAN)')
while batch := list(itertools.islice(given, 50_000)):
    table = pyarrow.Table.from_pylist(batch)
    with connection.cursor() as cursor:
        cursor.register("batch", table)
        cursor.execute("INSERT INTO raw SELECT * FROM batch")
connection.close()
"""
)
LOADERS = {
    "dicts, def with yield": "@loader\ndef raw(ctx):\n    yield from rows({rows})\n",
    "dicts, async def with yield": ("@loader\nasync def raw(ctx):\n    for row in rows({rows}):\n        yield row\n"),
    "lists of 10,000 dicts": (
        "@loader\ndef raw(ctx):\n    given = rows({rows})\n"
        "    while batch := list(itertools.islice(given, 10_000)):\n        yield batch\n"
    ),
    "Arrow record batches": (
        "import pyarrow\n@loader\ndef raw(ctx):\n    for start in range(0, {rows}, 100_000):\n"
        "        ids = pyarrow.array(range(start, min({rows}, start + 100_000)))\n"
        "        yield pyarrow.record_batch({{'id': ids, 'amount': ids.cast('float64')}})\n"
    ),
}
SOURCE = "sources:\n  - {name: raw, managed: true}\n"


def load(kind: str, rows: int) -> Cost:
    """A whole `sqb load` of a new project."""
    code = f"import itertools\nfrom sqlbuild.loaders import loader\n{ROWS}\n{LOADERS[kind].format(rows=rows)}"
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder), {"sources/raw.yml": SOURCE, "loaders/raw.py": code})
        return sqb("load", project, "--quiet")


def bare(rows: int) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        return run("-c", BARE, str(rows), directory=Path(folder))


def main() -> None:
    rows, many = whole_numbers(__doc__, rows=1_000_000, many_rows=3_000_000)
    baseline = bare(rows)
    table = [("bare: from_pylist, insert", baseline.wall, baseline.cpu, baseline.peak, 1.0)]
    for kind in LOADERS:
        cost = load(kind, rows)
        table.append((kind, cost.wall, cost.cpu, cost.peak, cost.wall / baseline.wall))
    print_table(f"{rows:,} rows, whole processes", ("shape", "wall s", "cpu s", "peak MB", "times bare"), table)
    kind = next(iter(LOADERS))
    counts = (many // 10, many)
    costs = [load(kind, count) for count in counts]
    print_table(
        f"memory of `sqb load`, {kind}",
        ("rows", "wall s", "peak MB", "rows/s"),
        [
            (f"{count:,}", cost.wall, cost.peak, f"{count / cost.wall:,.0f}")
            for count, cost in zip(counts, costs, strict=True)
        ],
    )


if __name__ == "__main__":
    main()
