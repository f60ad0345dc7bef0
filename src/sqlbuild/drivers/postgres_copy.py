"""Rows into a table by binary COPY, and what the server says of a row that it refuses. All on the home loop."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError

_PLACE = pattern(r"(?:.*\n)?COPY .*?, line (\d+)(?:, column (.*?))?(?:: .*)?", re.DOTALL)
"""The last line: of a JSON value it says before what is wrong with that."""


@record(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`state` is the SQLSTATE, empty if the server has not answered; `row` counts from 1."""

    state: str
    message: str
    row: int | None = None
    column: str | None = None

    @property
    def is_about_data(self) -> bool:
        """A value that is wrong, a rule that it breaks, or a statement that cannot be."""
        return self.state[:2] in ("22", "23", "42")


class UnsendableValue(WarehouseError):
    """The driver cannot make a value of its column's type of what it was given."""


async def copy_rows(
    raw: Any, schema: str, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, types_are_known: bool
) -> None:
    """`types_are_known`: this connection has copied into the table before, and its columns are what they were.

    Raises WarehouseError for what the server refuses, UnsendableValue for what does not get that far.
    """
    if not types_are_known:
        # The types of a table of that name may be remembered, and rows would be sent in them.
        await raw.reload_schema_state()
    with translated():
        try:
            await raw.copy_records_to_table(table, schema_name=schema or None, columns=list(columns), records=rows)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise UnsendableValue(str(error)) from error


def refusal(error: WarehouseError) -> Refusal:
    """What the server has said when it raised this."""
    cause = error.__cause__
    place = _PLACE.fullmatch(getattr(cause, "context", None) or "")
    return Refusal(
        state=str(getattr(cause, "sqlstate", None) or ""),
        message=str(getattr(cause, "message", None) or error),
        row=int(place[1]) if place else None,
        column=place[2] if place else None,
    )
