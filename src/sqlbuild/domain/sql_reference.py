"""References to nodes in SQL text."""

from __future__ import annotations

import dataclasses

from sqlbuild.domain.ids import Place
from sqlbuild.refs import Reference


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SqlReference:
    """A `__ref("x")`, `__source("x")` or `__seed("x")` call in SQL text.

    `start` and `end` are offsets into the text that holds the call; `place` is where it stands in the file.
    """

    reference: Reference
    start: int
    end: int
    place: Place
