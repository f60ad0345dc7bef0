"""Writing files. A name that starts with an underscore is not searched for nodes, but can be imported."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path


def write_if_changed(path: Path, text: str) -> bool:
    """Replace the file as a whole, or leave it alone if it holds this text already; returns whether it was written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return True


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
