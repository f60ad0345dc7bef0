"""Files that nodes write with `ctx.export`."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from sqlbuild.domain.record import record


class ExportFormat(enum.StrEnum):
    """The suffix of a file that is written in it."""

    PARQUET = "parquet"
    CSV = "csv"
    CSV_GZ = "csv.gz"
    JSON = "json"
    """One array of objects."""
    JSONL = "jsonl"
    """One object a line."""
    ARROW = "arrow"
    """Arrow's IPC file format."""


@record(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What `ctx.export(...)` has written; of a partitioned export, all of its files together."""

    path: str
    """Relative to the project's root with forward slashes, absolute if it is outside, or the URL."""
    rows: int
    bytes: int
    columns: Mapping[str, str]
    """Name -> type as the warehouse spells it, in the order of the file."""
    sha256: str
    """Of the file, in hexadecimal digits; of a partitioned export that of its manifest. Empty in a dry run."""
