"""The tables of a file that `--json` has written, as Markdown for docs/benchmarks.md.

python benchmarks/report.py FILE [WORDS]    only tables with these words in the title
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from comparing import shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("words", nargs="?", default="")
    given = parser.parse_args()
    document = json.loads(given.file.read_text(encoding="utf-8"))
    print("\n".join(line for table in document["tables"] if given.words in table["title"] for line in lines_of(table)))


def lines_of(table: dict[str, Any]) -> list[str]:
    """Median, least to most and the ratio to the first entry, of each entry; then what has failed."""
    return [
        f"**{table['title']}**",
        "",
        f"| | {table['unit']} | least to most | ratio | CPU {table['cpu_unit']} | peak MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(_row(entry) for entry in table["entries"]),
        *(f"| {name} | failed | | | | |" for name in table["failed"]),
        "",
    ]


def _row(entry: dict[str, Any]) -> str:
    values = [sample["value"] for sample in entry["samples"]]
    cpu, peak = (statistics.median(sample[key] for sample in entry["samples"]) for key in ("cpu", "peak"))
    spread = f"{shown(min(values))} to {shown(max(values))}" if len(values) > 1 else "once"
    ratio = shown(entry["ratio"])
    return f"| {entry['name']} | {shown(statistics.median(values))} | {spread} | {ratio} | {shown(cpu)} | {peak:,.0f} |"


if __name__ == "__main__":
    main()
