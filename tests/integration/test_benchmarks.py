"""The benchmarks run: each one once, with a little to do and without other tools."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FLIGHTS = BENCHMARKS.parent / "examples" / "flights" / "data" / "flights.csv"
SIZES_AND_TABLES = {
    "overhead": ("20 --only fan", {"W1 async def, fan of 20": 4, "W1s def, fan of 20": 3}),
    "http_exports": ("20 10", {"W2 20 requests, 10 at once": 3}),
    "startup": ("2", {"W5 --version": 3, "W5 --help": 3, "W5 nothing to do on 2 models": 3}),
    "lateness": (
        "20 1000",
        {f"W6 lateness of a ticker of 10 ms, {shown}": 7 for shown in ("p50", "p99", "max")},
    ),
    "flights": ("3", {"W8 3 exports of the flights example": 2}),
    "models": ("2 3 10", {"6 DuckDB tables in 2 layers, 10 rows each": 8}),
    "files": ("100", {"100 rows to parquet": 5, "100 rows to csv": 6}),
    "compile": (
        "20 --only plain",
        {"compile of 20 models of 20 columns, plain": 7},
    ),
}
"""Arguments of each benchmark, and how many entries its tables have."""


@pytest.mark.parametrize("name", SIZES_AND_TABLES)
def test_a_benchmark_measures_every_entry_of_its_tables(name: str, tmp_path: Path) -> None:
    if name == "flights" and not FLIGHTS.exists():
        pytest.skip("scripts/demo gets the data of the flights example")
    sizes, tables = SIZES_AND_TABLES[name]
    report = tmp_path / "report.json"
    command = [sys.executable, BENCHMARKS, name, *sizes.split(), "--rounds", "1", "--json", report]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    found = json.loads(report.read_text())["tables"]
    assert {table["title"]: len(table["entries"]) for table in found} == tables
    assert not any(table["failed"] for table in found)
    assert all(entry["samples"] for table in found for entry in table["entries"])


def test_every_benchmark_that_runs_with_the_others_is_tested() -> None:
    told = subprocess.run([sys.executable, BENCHMARKS, "--help"], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == f"Names: {', '.join(sorted(SIZES_AND_TABLES))}"


STACKS = """\
thread (7);_run_module_as_main (<frozen runpy>:198);_find_and_load (<frozen importlib._bootstrap>:1360);<module> (duckdb/__init__.py:1) 40
thread (7): MainThread;_run_module_as_main (<frozen runpy>:198);main (sqlbuild/cli/main.py:41);read (sqlbuild/project/read_python.py:9) 8
thread (7): MainThread;_run_module_as_main (<frozen runpy>:198);run_async (sqlbuild/app/wiring.py:309);work (sqlbuild/runner/workers.py:7);send (assets/exports.py:3);get (aiohttp/client.py:5) 20
thread (7): MainThread;_run_module_as_main (<frozen runpy>:198);run_async (sqlbuild/app/wiring.py:309);run (anyio/__init__.py:1);data_received (aiohttp/client.py:5) 20
thread (7): MainThread;_run_module_as_main (<frozen runpy>:198);run_async (sqlbuild/app/wiring.py:309);run (anyio/__init__.py:1) 12
thread (8): duckdb-0;Thread._bootstrap (threading.py:1012);execute (sqlbuild/drivers/duckdb.py:93) 30
"""


def test_a_profile_tells_who_was_at_work(tmp_path: Path) -> None:
    path = tmp_path / "sqb build.txt"
    path.write_text(STACKS)
    command = [sys.executable, BENCHMARKS / "profiling.py", "--stacks", path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0] == "sqb build: 100 samples"
    assert [" ".join(line.split()) for line in told[3:-1]] == [
        "loading modules 40.0 0.0",
        "drivers 0.0 30.0 duckdb.py 30.0",
        "the nodes themselves 20.0 0.0 assets/exports.py 20.0",
        "aiohttp 20.0 0.0",
        "event loop, or waiting 12.0 0.0",
        "project 8.0 0.0 read_python.py 8.0",
        "the rest 0.0 0.0",
    ]
