"""Runs commands as a user does, in a process of their own, and says what they cost."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PROJECT = 'name = "bench"\n'
PROFILES, PY_SPY = "BENCH_PROFILES", "BENCH_PY_SPY"
"""Variables of the environment: the folder for the stacks of each `sqb`, and what takes them; `profiling.py` sets them."""
WATCHER = """
import os, sys, time

report, command = int(sys.argv[1]), sys.argv[2:]
started = time.perf_counter()
process = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
wall = time.perf_counter() - started
os.write(report, f"{wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}".encode())
sys.exit(abs(os.waitstatus_to_exitcode(status)))
"""
"""A small process that starts the one to be measured: the peak memory of a process begins with that of who started it."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """Wall and CPU (user and system) seconds and the peak resident memory in MB of one process."""

    wall: float
    cpu: float
    peak: float
    told: float | None = None
    """Seconds that the program itself measured: `{"seconds": 1.5}` as the last such line of its output."""
    told_cpu: float | None = None
    """CPU seconds of the same part of it: `{"seconds": 1.5, "cpu": 1.2}`."""


class CommandFailed(Exception):
    """The end of what a command that failed has printed."""


def whole_numbers(description: str | None, **defaults: int) -> list[int]:
    """What the command line gives, by position, for the names of `defaults`; 1_000 and 1,000 are the same as 1000."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for name, default in defaults.items():
        parser.add_argument(
            name, metavar=name.upper(), nargs="?", type=whole_number, default=default, help=f"default {default:,}"
        )
    return list(vars(parser.parse_args()).values())


def whole_number(text: str) -> int:
    """For argparse: 1_000 and 1,000 are the same as 1000."""
    digits = text.replace("_", "").replace(",", "")
    if not digits.isdecimal() or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(digits)


def run(
    *arguments: str | Path, directory: Path | None = None, python: str | Path = sys.executable, executable: bool = False
) -> Cost:
    """Run a Python with `arguments`, or the program that is the first of them if `executable`; wait for its end.

    What belongs to another environment does not see what PYTHONPATH gives to this one. Raises CommandFailed, with the end
    of the output, if it does not end with 0.
    """
    command = [*arguments] if executable else [python, *arguments]
    is_other = Path(command[0]).parent not in (Path(sys.executable).parent, Path())
    environment = {name: value for name, value in os.environ.items() if not (is_other and name == "PYTHONPATH")}
    if PROFILES in os.environ and not is_other:
        command = [*_profiler(arguments), *command]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as report:
        watcher = [sys.executable, "-I", "-S", "-c", WATCHER, str(report.fileno()), *map(str, command)]
        ended = subprocess.run(
            watcher,
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[report.fileno()],
            check=False,
        )
        output.seek(0)
        report.seek(0)
        text = output.read().decode(errors="replace")
        if ended.returncode != 0:
            raise CommandFailed(f"{' '.join(map(str, arguments))[:200]} failed:\n{text[-4000:]}")
        wall, cpu, kilobytes = map(float, report.read().split())
    told = _told(text)
    return Cost(wall=wall, cpu=cpu, peak=kilobytes / 1024, told=told.get("seconds"), told_cpu=told.get("cpu"))


def _told(text: str) -> dict[str, float]:
    told = [line for line in text.splitlines() if line.startswith('{"seconds":')]
    return json.loads(told[-1]) if told else {}


def _profiler(arguments: Sequence[str | Path]) -> list[str]:
    """What a command of ours is started with so that its stacks are kept, in a file that is called as it is."""
    words = [each.name if isinstance(each, Path) else each for each in arguments]
    if not {"sqb", "sqlbuild"} & set(words[:2]):
        return []
    folder = Path(os.environ[PROFILES])
    name = " ".join(words).replace("/", "_")[:100].removeprefix("-m ")
    path = folder / f"{len(list(folder.iterdir())) + 1:02} {name}.txt"
    return [
        os.environ[PY_SPY],
        *["record", "--threads", "--rate", "200", "--format", "raw", "--output"],
        str(path),
        "--",
    ]


def sqb(command: str, project: Path, *options: str) -> Cost:
    return run("-m", "sqlbuild", command, *options, directory=project)


def new_project(folder: Path, files: dict[str, str]) -> Path:
    """Write a DuckDB project with these files (path -> text) and return its folder."""
    for path, text in {"sqlbuild_project.toml": PROJECT, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Numbers are right-aligned, floats shown with two decimals."""
    shown = [[f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(header), *shown]) for index in range(len(header))]
    print(title)
    for line in [list(header), ["-" * width for width in widths], *shown]:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        print("  " + "  ".join(cells))


def duration_of(project: Path, nodes: int) -> float:
    """Seconds from the start to the end of the last run, as that tells. CommandFailed unless all `nodes` have succeeded."""
    told = json.loads((project / "target/run_results.json").read_text(encoding="utf-8"))
    if told["counts"] != {"succeeded": nodes}:
        raise CommandFailed(f"{told['counts']} instead of {nodes:,} nodes that succeeded")
    return float(told["duration"])


@contextlib.contextmanager
def service(*arguments: str | Path) -> Iterator[str]:
    """A server that this Python runs meanwhile: the address that it prints first."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
