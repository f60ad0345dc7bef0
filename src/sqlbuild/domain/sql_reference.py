"""References to nodes in SQL text."""

from __future__ import annotations

from sqlbuild.domain.ids import Place
from sqlbuild.domain.record import record
from sqlbuild.refs import Reference


@record(frozen=True, slots=True, kw_only=True)
class SqlReference:
    """A `__ref("x")`, `__source("x")`, `__seed("x")`, `__udf("x")` or `__table_fn("x")` in SQL text.

    `start` and `end` are offsets into the text that holds the call; `place` is where it stands in the file.
    """

    reference: Reference
    start: int
    end: int
    place: Place
    call: str = ""
    """The word it is written with, where that does not follow from its kind: `__udf` or `__table_fn`."""
