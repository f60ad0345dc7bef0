"""How a table grows: what an incremental model declares, and what one build of it is asked for."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import re
from collections.abc import Mapping
from typing import Literal

from sqlbuild.domain.ids import NodeId, Place
from sqlbuild.domain.record import record

CursorValue = int | datetime.datetime
"""A whole number, or a moment without a time zone (UTC where the column has one)."""
LimitAction = Literal["error", "warn", "cap_from_start", "cap_from_end"]


class IncrementalStrategy(enum.StrEnum):
    """What the rows of a delta do to those that the table has already."""

    APPEND = "append"
    """Nothing."""
    DELETE_INSERT = "delete_insert"
    """They replace those whose cursor is in the window, and those with the same unique key."""
    MERGE = "merge"
    """They replace those with the same unique key."""


class CursorType(enum.StrEnum):
    TIMESTAMP = "timestamp"
    INTEGER = "integer"


class Grain(enum.StrEnum):
    """Of a timestamp cursor; from the finest to the coarsest."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class OnSchemaChange(enum.StrEnum):
    """What is done when the delta's columns are not those of the table."""

    APPEND_NEW_COLUMNS = "append_new_columns"
    SYNC_ALL_COLUMNS = "sync_all_columns"
    IGNORE = "ignore"
    FAIL = "fail"


@record(frozen=True, slots=True)
class Span:
    """A length of time, calendar months apart from seconds; on a scale of whole numbers its seconds are counted."""

    months: int = 0
    seconds: int = 0

    def __str__(self) -> str:
        parts = [f"{count}{name}" for count, name in ((self.months // 12, "y"), (self.months % 12, "mo")) if count]
        rest = self.seconds
        for name, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
            count, rest = divmod(rest, size)
            parts += [f"{count}{name}"] if count else []
        return "".join(parts) or "0s"


_SPAN = (
    r"(?:(?P<y>\d{1,4})y)?(?:(?P<mo>\d{1,5})mo)?(?:(?P<w>\d{1,6})w)?(?:(?P<d>\d{1,7})d)?"
    r"(?:(?P<h>\d{1,8})h)?(?:(?P<m>\d{1,9})m)?(?:(?P<s>\d{1,11})s)?"
)


def parse_span(text: str) -> Span | None:
    """`14d`, `6h`, `1mo`, `1d12h`; None if it is no length of time above zero."""
    found = re.fullmatch(_SPAN, text.strip())
    if found is None:
        return None
    count = {unit: int(number or 0) for unit, number in found.groupdict().items()}
    seconds = ((count["w"] * 7 + count["d"]) * 24 + count["h"]) * 3_600 + count["m"] * 60 + count["s"]
    span = Span(count["y"] * 12 + count["mo"], seconds)
    return span if span != Span() else None


@record(frozen=True, slots=True, kw_only=True)
class CursorInput:
    """One entry of `cursor_inputs`: a model, source or seed that the query reads, and its cursor column."""

    name: str
    column: str
    filters: bool = True
    """Only its rows within the window are read."""
    is_watermark: bool = True
    """How far it has got bounds the window."""
    place: Place | None = dataclasses.field(default=None, compare=False, repr=False)


@record(frozen=True, slots=True, kw_only=True)
class Replay:
    """What of the table is built again when the model itself has changed: nothing, all, or the last `span`."""

    full: bool = False
    span: Span | None = None

    def __str__(self) -> str:
        return "full" if self.full else f"bounded-{self.span}" if self.span is not None else "forward"


FORWARD = Replay()


@record(frozen=True, slots=True, kw_only=True)
class BatchLimit:
    """What is done when more batches are due than one build is to do."""

    batches: int
    action: LimitAction = "error"


@record(frozen=True, slots=True, kw_only=True)
class Incremental:
    """The part of a MODEL header that says how the table grows. What depends on the type of the cursor is kept as it
    was written: text, or a whole number; `domain.cursor_windows` says what it means."""

    strategy: IncrementalStrategy | None = None
    unique_key: tuple[str, ...] = ()
    cursor: str | None = None
    cursor_type: CursorType | None = None
    grain: Grain | None = None
    start: str | int | None = None
    end: str | int | None = None
    inputs: tuple[CursorInput, ...] | None = None
    any_watermark: bool = False
    """The input that has got furthest bounds the window, not the one that is behind."""
    lookback: str | int | None = None
    append_inclusive: bool = True
    merge_exclude: tuple[str, ...] = ()
    full_refresh: bool | None = None
    on_schema_change: OnSchemaChange = OnSchemaChange.APPEND_NEW_COLUMNS
    replay: Replay = FORWARD
    is_microbatch: bool = False
    """The window is built in pieces of `batch_size`, each in a transaction of its own."""
    batch_size: str | int | None = None
    batch_limit: BatchLimit | None = None
    outer_limit: BatchLimit | None = None
    """That of the project, which the whole window is held against first."""
    places: Mapping[str, Place] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """Key as written -> where its value stands."""


class Bound(enum.StrEnum):
    START = "start"
    END = "end"


@record(frozen=True, slots=True, kw_only=True)
class CursorCall:
    """A `__cursor_start()` or `__cursor_end()` in a query, as written or as a macro gave it."""

    bound: Bound
    place: Place


@record(frozen=True, slots=True)
class BoundOf:
    """Where a bound of the window stands in SQL: of the type that an input's column has, or of the window's own."""

    bound: Bound
    input: int | None = None
    """Its place in `IncrementalSql.inputs`."""


@record(frozen=True, slots=True, kw_only=True)
class ReadInput:
    """An input with a cursor, as the query reads it."""

    node: NodeId
    name: str
    column: str
    sql: str
    """What stands for it in a FROM clause, with an alias if it needs one."""
    filters: bool = True
    is_watermark: bool = True
    grain: Grain | None = None
    """Of an incremental model whose own cursor that column is."""


@record(frozen=True, slots=True, kw_only=True)
class IncrementalSql:
    """The query of an incremental model, in which the bounds of a window have still to be put."""

    parts: tuple[str | BoundOf, ...]
    inputs: tuple[ReadInput, ...] = ()


@record(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What a command asks of all incremental models of a run. Bounds are as written; the end is exclusive."""

    full: bool = False
    start: str | None = None
    end: str | None = None
    most_batches: int | None = None
    """Of each microbatch model, whatever the limit is that it declares."""


NO_REFRESH = Refresh()


@record(frozen=True, slots=True, kw_only=True)
class IncrementalBuild:
    """What one build of an incremental model is to do, as far as it can be said before its inputs are looked at."""

    full: bool = False
    """The whole table is built again."""
    replay: Replay = FORWARD
    start: CursorValue | None = None
    end: CursorValue | None = None
    """Bounds that the command has set."""
    batch_limit: BatchLimit | None = None
    """That the command has set, in the place of the model's own."""
    why: str = ""
    """Why it is not simply gone on with; empty if it is."""
