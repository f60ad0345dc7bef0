"""W5: how long it takes to start, in milliseconds.

Whole processes: `python -c pass` and `import typer` are what a command in Python, and one made with typer, cannot do
without. `sqb build` has nothing to do on a project of 20 small views: without options it makes the views again, with
`--changed` it finds that all of them are up to date.

    python benchmarks/startup.py [MODELS]
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from comparing import Entry, Options, Sample, compare, read_options
from measuring import Cost, new_project, run
from peers import peer

SQB = Path(sys.executable).parent / "sqb"
TOOLS = {
    "published sqlbuild": "sqb",
    **{name: name for name in ("dbt", "sqlmesh", "dagster", "prefect", "luigi", "doit")},
}
"""The command of each tool."""


def main() -> None:
    options = read_options(__doc__, rounds=9, models=20)
    (models,) = options.sizes
    for option in ("--version", "--help"):
        entries = [
            Entry("python -c pass", functools.partial(in_milliseconds, "-c", "pass")),
            Entry("import typer", functools.partial(in_milliseconds, "-c", "import typer")),
            Entry(f"sqb {option}", functools.partial(in_milliseconds, SQB, option, executable=True)),
            *in_others(option),
        ]
        compare(f"W5 {option}", "ms", entries, options, cpu_unit="ms")
    nothing_to_do(models, options)


def in_others(option: str) -> Iterator[Entry]:
    for tool, command in TOOLS.items():
        if (tool, option) == ("luigi", "--version"):
            continue  # It has no such option.
        spelling = "help" if (tool, option) == ("doit", "--help") else option
        yield Entry(tool, functools.partial(in_peer, tool, command, spelling), is_peer=True, rounds=3)


def in_peer(tool: str, command: str, *arguments: str) -> Sample:
    return in_milliseconds(peer(tool).parent / command, *arguments, executable=True)


def in_milliseconds(*arguments: str | Path, directory: Path | None = None, executable: bool = False) -> Sample:
    cost: Cost = run(*arguments, directory=directory, executable=executable)
    return Sample(value=cost.wall * 1000, cpu=cost.cpu * 1000, peak=cost.peak)


def nothing_to_do(models: int, options: Options) -> None:
    """Two projects that are built before anything is measured."""
    views = {f"models/view_{number:03}.sql": view(number) for number in range(models)}
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder), views)
        build = functools.partial(in_milliseconds, SQB, "build", "--quiet", directory=project, executable=True)
        changed = functools.partial(
            in_milliseconds, SQB, "build", "--quiet", "--changed", directory=project, executable=True
        )
        build()
        entries = [
            Entry("import duckdb", functools.partial(in_milliseconds, "-c", "import duckdb")),
            Entry("sqb build --changed", changed),
            Entry("sqb build", build),
        ]
        compare(f"W5 nothing to do on {models:,} models", "ms", entries, options, cpu_unit="ms")


def view(number: int) -> str:
    source = f'__ref("view_{number - 1:03}")' if number else "(SELECT 1 AS id)"
    return f"MODEL (materialized view);\nSELECT id, id + {number} AS value_{number} FROM {source}\n"


if __name__ == "__main__":
    main()
