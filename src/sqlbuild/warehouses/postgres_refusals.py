"""What PostgreSQL says of a row that it does not take, in words for the author of a loader."""

from __future__ import annotations

from collections.abc import Sequence

from sqlbuild.drivers.postgres_copy import Refusal, refusal
from sqlbuild.errors import RowRefused, WarehouseError
from sqlbuild.warehouses.postgres_rows import Outgoing

_NOT_IN_TEXT = "22021"
_NOT_IN_JSON = "22P05"


def refused(error: WarehouseError, columns: Sequence[Outgoing], first_row: int) -> WarehouseError | None:
    """The error for a row that COPY has stopped at; None if it stopped for anything else."""
    found = refusal(error)
    if not found.is_about_data or found.row is None:
        return None
    row = first_row + found.row - 1
    name = next((each.held.name for each in columns if found.column in (each.held.name, each.alias)), None)
    if name is None:
        return WarehouseError(f"row {row:,}: {found.message}", sql=error.sql)
    return told(found, name, row)


def told(found: Refusal, column: str, row: int) -> RowRefused:
    if found.state in (_NOT_IN_TEXT, _NOT_IN_JSON):
        what = "text" if found.state == _NOT_IN_TEXT else "JSON"
        return RowRefused(
            f"column {column} holds {what} with the character NUL, which PostgreSQL cannot store",
            row,
            help=r"""take it out in the loader, for example with text.replace("\x00", ""), or give bytes""",
        )
    return RowRefused(
        f"column {column}: {found.message}",
        row,
        help="convert the values in the loader, or declare another type",
    )
