"""Measures several programs that do the same work in turns, and shows each beside the first.

In every round each of them runs once, so that what else the machine does in the meantime meets all of them. What is
shown is the median over the rounds, the least and the most, and the median of the ratios to the first within a round.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from measuring import CommandFailed, Cost, print_table, whole_number
from peers import installed_versions


@dataclasses.dataclass(frozen=True)
class Sample:
    """What is compared, in the unit of its table, and what the process cost: CPU seconds and peak resident MB."""

    value: float
    cpu: float
    peak: float

    @classmethod
    def of(cls, cost: Cost) -> Sample:
        """The seconds that the program says it took; those of the whole process if it says nothing."""
        return cls(
            value=cost.wall if cost.told is None else cost.told,
            cpu=cost.cpu if cost.told_cpu is None else cost.told_cpu,
            peak=cost.peak,
        )


@dataclasses.dataclass(frozen=True)
class Entry:
    """One program of a comparison. A peer that fails is shown as failed, anything else that fails ends the benchmark."""

    name: str
    measure: Callable[[], Sample]
    is_peer: bool = False
    rounds: int | None = None
    """Fewer of them for what is very slow."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is the same for all benchmarks; `sizes` are the numbers given by position."""

    sizes: tuple[int, ...]
    rounds: int
    peers: bool
    json: Path | None
    only: str = ""
    """Nothing is measured for tables without these words in the title."""


def read_options(description: str | None, rounds: int = 3, **sizes: int) -> Options:
    """The command line: one number by position for each of `sizes`, which are the defaults; 1_000 and 1,000 are 1000."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for name, default in sizes.items():
        parser.add_argument(
            name, metavar=name.upper(), nargs="?", type=whole_number, default=default, help=f"default {default:,}"
        )
    parser.add_argument("--rounds", type=whole_number, default=rounds, help=f"default {rounds}")
    parser.add_argument(
        "--peers", action="store_true", help="measure other tools too, each in an environment of its own"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the tables to this file")
    parser.add_argument("--only", default="", metavar="WORDS", help="only tables with these words in the title")
    found = parser.parse_args()
    return Options(
        sizes=tuple(getattr(found, name) for name in sizes),
        rounds=found.rounds,
        peers=found.peers,
        json=found.json,
        only=found.only,
    )


def compare(title: str, unit: str, entries: Sequence[Entry], options: Options, cpu_unit: str = "s") -> None:
    """Print a table of `entries`, of which the first is what the others are compared with.

    Peers are left out unless the options ask for them; `cpu_unit` is that of what the samples call `cpu`.
    """
    if options.only not in title:
        return
    entries = [entry for entry in entries if options.peers or not entry.is_peer]
    samples: dict[str, list[Sample]] = {entry.name: [] for entry in entries}
    failed: dict[str, str] = {}
    for number in range(options.rounds):
        for entry in entries:
            if entry.name in failed or number >= (entry.rounds or options.rounds):
                continue
            _say(f"{title}: round {number + 1} of {options.rounds}, {entry.name}")
            try:
                samples[entry.name].append(entry.measure())
            except CommandFailed as error:
                if not entry.is_peer:
                    raise
                failed[entry.name] = str(error)
    _say("")
    first = samples[entries[0].name]
    rows = [_row(name, found, first) for name, found in samples.items() if found]
    print_table(
        f"{title} ({unit}; median of {options.rounds} rounds)",
        ("", unit, "least", "most", "ratio", f"CPU {cpu_unit}", "ratio", "peak MB"),
        rows,
    )
    for name, why in failed.items():
        print(f"  {name} failed: {why.strip().splitlines()[-1] if why.strip() else 'no output'}")
    print(flush=True)
    if options.json is not None:
        _add_to(
            options.json,
            {"title": title, "unit": unit, "cpu_unit": cpu_unit, "entries": _plain(samples, first), "failed": failed},
        )


def ratio_to(found: Sequence[Sample], first: Sequence[Sample]) -> float:
    """The median of the ratios within each round that both were in."""
    return _ratio([sample.value for sample in found], [sample.value for sample in first])


def cpu_ratio_to(found: Sequence[Sample], first: Sequence[Sample]) -> float:
    """As `ratio_to`, of CPU seconds: they change less than others with what else the machine does."""
    return _ratio([sample.cpu for sample in found], [sample.cpu for sample in first])


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other if other else math.nan for one, other in zip(mine, theirs, strict=False))


def _row(name: str, found: Sequence[Sample], first: Sequence[Sample]) -> tuple[object, ...]:
    values = [sample.value for sample in found]
    return (
        name,
        *(shown(value) for value in (statistics.median(values), min(values), max(values))),
        ratio_to(found, first),
        shown(statistics.median(sample.cpu for sample in found)),
        cpu_ratio_to(found, first),
        f"{statistics.median(sample.peak for sample in found):,.0f}",
    )


def shown(value: float) -> str:
    """Three digits that tell something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _plain(samples: dict[str, list[Sample]], first: Sequence[Sample]) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "ratio": ratio_to(found, first),
            "cpu_ratio": cpu_ratio_to(found, first),
            "samples": [dataclasses.asdict(each) for each in found],
        }
        for name, found in samples.items()
        if found
    ]


def _add_to(path: Path, table: dict[str, object]) -> None:
    """A table of the same title takes the place of the one before."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"tables": []}
    tables = [each for each in known["tables"] if each["title"] != table["title"]]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": describe_machine(), "tables": [*tables, table]}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def describe_machine() -> dict[str, object]:
    """What the figures depend on, without what would name the machine."""
    versions = {name: importlib.metadata.version(name) for name in ("sqlbuild", "duckdb", "anyio", "sqlglot", "typer")}
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "peers": installed_versions(),
    }


def _say(text: str) -> None:
    """What is going on, for whoever watches; tables are not disturbed by it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
