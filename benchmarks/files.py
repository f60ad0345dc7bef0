"""`ctx.export` of a DuckDB table to Parquet and to CSV, against DuckDB's own COPY of it.

Each row is a process of its own that opens the same database. What is compared are the seconds of the export alone, as
the process tells them; the peak is that of the whole process. An export that is safe needs more than the COPY: the file
is flushed to the disk (fsync) and its SHA-256 is told, so there is a row with both, and one that counts what
`ctx.export` takes without them.

    python benchmarks/files.py [ROWS] [--rounds N] [--peers] [--json FILE]
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

from comparing import Entry, Sample, compare, read_options
from measuring import Cost, new_project, run, sqb

ROWS = """
CREATE SCHEMA dev;
CREATE TABLE dev.rows AS SELECT range AS id, TIMESTAMP '2026-01-01' + to_seconds(range % 31536000) AS made_at,
  (hash(range) % 1000000) / 997.0 AS amount, 'customer ' || (hash(range + 1) % 100000)::VARCHAR AS name
FROM range({rows})
"""
LIMIT = """
import csv, hashlib, json, os, sys, time
import duckdb

how, path = sys.argv[1:]
connection = duckdb.connect("bench.duckdb")
started, cpu = time.perf_counter(), time.process_time()
if how == "fetchall":
    cursor = connection.execute("SELECT * FROM dev.rows")
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column[0] for column in cursor.description])
        writer.writerows(cursor.fetchall())
else:
    connection.execute(f"COPY (SELECT * FROM dev.rows) TO '{path}'")
if how == "safe":
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        hashlib.file_digest(file, "sha256").hexdigest()
print(json.dumps({"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}))
"""
SETTINGS = """
name = "bench"
[connections.local]
database = "bench.duckdb"
[targets.dev]
connection = "local"
schema = "dev"
"""
NODES = """
import json, time
from pathlib import Path
from sqlbuild.assets import asset

async def timed(export):
    started, cpu = time.perf_counter(), time.process_time()
    await export
    told = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    Path("told.json").write_text(json.dumps(told))

def exports_to(suffix):
    @asset(name=f"copied_{suffix}")
    async def copied(ctx):
        await timed(ctx.export("SELECT * FROM dev.rows", f"exports/rows.{suffix}"))

    @asset(name=f"batches_{suffix}")
    async def batches(ctx):
        await timed(ctx.export(ctx.query("SELECT * FROM dev.rows").batches(), f"exports/rows.{suffix}"))

for suffix in ("parquet", "csv"):
    exports_to(suffix)
"""


def main() -> None:
    options = read_options(__doc__, rows=5_000_000)
    (rows,) = options.sizes
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder), {"sqlbuild_project.toml": SETTINGS, "assets/exports.py": NODES})
        run(
            "-c",
            f"import duckdb; duckdb.connect('bench.duckdb').execute({ROWS.format(rows=rows)!r})",
            directory=project,
        )
        for suffix in ("parquet", "csv"):
            compare(f"{rows:,} rows to {suffix}", "s", Exports(project, suffix).entries(), options)


class Exports:
    """To one format, and what they took in this round."""

    def __init__(self, project: Path, suffix: str) -> None:
        self._project = project
        self._suffix = suffix
        self._samples: dict[str, Sample] = {}

    def entries(self) -> list[Entry]:
        naive = Entry("fetchall and csv.writer", lambda: self._limit("fetchall"), rounds=1)
        return [
            Entry("COPY", lambda: self._limit("copy")),
            Entry("COPY, fsync, SHA-256", lambda: self._limit("safe")),
            Entry("ctx.export of a query", lambda: self._sqb("copied")),
            Entry("  without fsync, SHA-256", self._without_safety),
            Entry("ctx.export of batches()", lambda: self._sqb("batches")),
            *([naive] if self._suffix == "csv" else []),
        ]

    def _limit(self, how: str) -> Sample:
        path = self._project / f"limit.{self._suffix}"
        path.unlink(missing_ok=True)
        return self._keep(how, run("-c", LIMIT, how, path.name, directory=self._project))

    def _sqb(self, node: str) -> Sample:
        path = self._project / "exports" / f"rows.{self._suffix}"
        path.unlink(missing_ok=True)
        cost = sqb("build", self._project, "--quiet", "--select", f"{node}_{self._suffix}")
        told = json.loads((self._project / "told.json").read_text())
        return self._keep(node, dataclasses.replace(cost, told=told["seconds"], told_cpu=told["cpu"]))

    def _without_safety(self) -> Sample:
        """The export less what the limit took longer with fsync and SHA-256 than without them, in this round."""
        export, copy, safe = (self._samples[name] for name in ("copied", "copy", "safe"))
        return Sample(
            value=export.value - (safe.value - copy.value), cpu=export.cpu - (safe.cpu - copy.cpu), peak=export.peak
        )

    def _keep(self, name: str, cost: Cost) -> Sample:
        self._samples[name] = Sample.of(cost)
        return self._samples[name]


if __name__ == "__main__":
    main()
