"""Writing files; a name that starts with an underscore is not searched for nodes."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

EXPORTS = Path(__file__).parent.parent / "exports"


def write_if_changed(path: Path, content: bytes) -> bool:
    """Replace the file whole, or leave it alone if it has this content already. Returns whether it was written."""
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
    return True


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> tuple[int, bool]:
    """The size in bytes, and whether the file was written."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    content = text.getvalue().encode()
    return len(content), write_if_changed(path, content)
