"""Which part of its inputs an incremental model reads: a half-open window of cursor values, and its batches. Pure."""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterator, Sequence

from sqlbuild.domain.incremental import (
    CursorType,
    CursorValue,
    Grain,
    Incremental,
    IncrementalBuild,
    IncrementalStrategy,
    Span,
    parse_span,
)
from sqlbuild.domain.record import record

MAX_BATCHES = 100_000
_GRAINS = list(Grain)
_MICROSECOND = datetime.timedelta(microseconds=1)
_FIRST, _LAST = map(datetime.datetime.fromisoformat, ("0001-01-01", "9999-12-31"))
_SECONDS_OF = {Grain.SECOND: 1, Grain.MINUTE: 60, Grain.HOUR: 3_600, Grain.DAY: 86_400}


@record(frozen=True, slots=True, kw_only=True)
class Extent:
    """The lowest and the highest cursor value of an input or a table; None for both without any."""

    low: CursorValue | None = None
    high: CursorValue | None = None
    has_zone: bool = False
    """The column is one of moments with a time zone."""


@record(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` up to but without `end`; nothing is in it if `end` is not above `start`."""

    start: CursorValue
    end: CursorValue
    covers_from: CursorValue
    """`start` at the beginning of its grain: rows of the table from there on are those of the window."""

    @property
    def is_empty(self) -> bool:
        return not _below(self.start, self.end)

    def __str__(self) -> str:
        return f"{value_text(self.start)} to {value_text(self.end)}"


@record(frozen=True, slots=True)
class NoRows:
    """No window can be told: these inputs, by their place, have no rows. `partly`: others have some."""

    empty: tuple[int, ...]
    partly: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What is known of the inputs; `watermarks` are the places of those that bound the window."""

    extents: Sequence[Extent]
    watermarks: Sequence[int]
    grains: Sequence[Grain | None] = ()


# -- values -----------------------------------------------------------------------------------------------------------


def read_value(written: str | int, cursor_type: CursorType) -> CursorValue:
    """A bound as somebody wrote it. Raises ValueError, which says what is wrong with it."""
    if cursor_type is CursorType.INTEGER:
        try:
            return int(written)
        except ValueError:
            raise ValueError(f"{written!r} is no whole number, as the cursor is") from None
    if isinstance(written, int):
        raise ValueError(f"{written} is no date or time, as the cursor is")  # noqa: TRY004 - the type is right, the value not
    try:
        moment = datetime.datetime.fromisoformat(written.strip())
    except ValueError:
        raise ValueError(f"{written!r} is no date or time, such as 2026-04-01 or 2026-04-01T12:30:00") from None
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


def read_step(written: str | int, cursor_type: CursorType) -> Span | int:
    """A lookback or a batch size. Raises ValueError."""
    if cursor_type is CursorType.INTEGER:
        try:
            number = int(written)
        except ValueError:
            raise ValueError(f"{written!r} is no whole number, as the cursor is") from None
        if number <= 0:
            raise ValueError(f"{number} is not above zero")
        return number
    span = parse_span(written) if isinstance(written, str) else None
    if span is None:
        raise ValueError(f"{written!r} is no length of time, such as 1d, 6h or 1mo")
    return span


def value_text(value: CursorValue) -> str:
    """For people: `2026-04-01`, `2026-04-01 12:30:00` or `41`."""
    if isinstance(value, int):
        return str(value)
    return str(value.date()) if value.time() == datetime.time() else str(value)


def floor_to(value: CursorValue, grain: Grain | None) -> CursorValue:
    """The beginning of the grain that a moment is in."""
    if grain is None or isinstance(value, int):
        return value
    match grain:
        case Grain.SECOND:
            return value.replace(microsecond=0)
        case Grain.MINUTE:
            return value.replace(second=0, microsecond=0)
        case Grain.HOUR:
            return value.replace(minute=0, second=0, microsecond=0)
        case Grain.DAY:
            return value.replace(hour=0, minute=0, second=0, microsecond=0)
        case Grain.MONTH:
            return value.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        case Grain.YEAR:
            return value.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)


def moved(value: CursorValue, by: Span | int, times: int = 1) -> CursorValue:
    """`value` moved on by so many steps, or back by negative ones; it stays within what a moment can be."""
    if isinstance(value, int):
        return value + (by if isinstance(by, int) else by.seconds + by.months * 30 * 86_400) * times
    if isinstance(by, int):
        by = Span(0, by)
    try:
        month = value.month - 1 + by.months * times
        year, month = value.year + month // 12, month % 12 + 1
        day = min(value.day, calendar.monthrange(year, month)[1])
        return value.replace(year=year, month=month, day=day) + datetime.timedelta(seconds=by.seconds * times)
    except (OverflowError, ValueError):
        return _LAST if times > 0 else _FIRST


def step_of(grain: Grain) -> Span:
    match grain:
        case Grain.YEAR:
            return Span(12)
        case Grain.MONTH:
            return Span(1)
        case _:
            return Span(0, _SECONDS_OF[grain])


def coarsest(*grains: Grain | None) -> Grain | None:
    known = [grain for grain in grains if grain is not None]
    return max(known, key=_GRAINS.index) if known else None


def _below(one: CursorValue, other: CursorValue) -> bool:
    if isinstance(one, int) and isinstance(other, int):
        return one < other
    assert isinstance(one, datetime.datetime)
    assert isinstance(other, datetime.datetime)
    return one < other


def _lowest(*values: CursorValue) -> CursorValue:
    lowest = values[0]
    for value in values[1:]:
        lowest = value if _below(value, lowest) else lowest
    return lowest


def _highest(*values: CursorValue) -> CursorValue:
    highest = values[0]
    for value in values[1:]:
        highest = value if _below(highest, value) else highest
    return highest


# -- the window -------------------------------------------------------------------------------------------------------


def grain_of(model: Incremental, inputs: Inputs) -> Grain | None:
    """What the window begins and ends at the edges of: the coarsest of all that take part."""
    if model.cursor_type is not CursorType.TIMESTAMP:
        return None
    return coarsest(model.grain or Grain.SECOND, *inputs.grains)


def window_of(model: Incremental, inputs: Inputs, build: IncrementalBuild, target: Extent | None) -> Window | NoRows:
    """The window of one build of a model with a cursor. `target` is what its table has; None: there is none, or it is
    built from scratch. Without rows in an input it waits for them, unless the command has set both bounds."""
    empty = tuple(place for place in inputs.watermarks if inputs.extents[place].high is None)
    known = [place for place in inputs.watermarks if place not in empty]
    waits = bool(empty) and not (model.any_watermark and known)
    if waits and (build.start is None or build.end is None):
        return NoRows(empty, partly=bool(known))
    grain = grain_of(model, inputs)
    end = _end(model, inputs, build, known, grain)
    start = _start(model, inputs, build, target, end, grain)
    assert model.cursor_type is not None
    if model.start is not None:
        start = _highest(start, read_value(model.start, model.cursor_type))
    replaces_grains = model.strategy is not IncrementalStrategy.APPEND
    return Window(start=start, end=end, covers_from=floor_to(start, grain) if replaces_grains else start)


def _end(
    model: Incremental, inputs: Inputs, build: IncrementalBuild, known: Sequence[int], grain: Grain | None
) -> CursorValue:
    if build.end is not None:
        end = build.end
        floor = floor_to(end, grain)
        if floor != end and grain is not None and model.strategy is not IncrementalStrategy.APPEND:
            end = moved(floor, step_of(grain))
    else:
        highs = [high for place in known if (high := inputs.extents[place].high) is not None]
        reached = _highest(*highs) if model.any_watermark else _lowest(*highs)
        end = moved(floor_to(reached, grain), step_of(grain) if grain is not None else 1)
    assert model.cursor_type is not None
    return end if model.end is None else _lowest(end, read_value(model.end, model.cursor_type))


def _start(
    model: Incremental,
    inputs: Inputs,
    build: IncrementalBuild,
    target: Extent | None,
    end: CursorValue,
    grain: Grain | None,
) -> CursorValue:
    if build.start is not None:
        appends = model.strategy is IncrementalStrategy.APPEND
        return build.start if appends else floor_to(build.start, grain)
    if target is None or target.high is None:
        lows = [extent.low for extent in inputs.extents if extent.low is not None]
        return floor_to(_lowest(*lows), grain) if lows else end
    start = _forward(model, target.high, grain)
    if build.replay.span is not None:
        start = _lowest(start, floor_to(moved(end, build.replay.span, -1), grain))
    return start


def _forward(model: Incremental, reached: CursorValue, grain: Grain | None) -> CursorValue:
    """From where the table has got to."""
    assert model.cursor_type is not None
    back = read_step(model.lookback, model.cursor_type) if model.lookback is not None else None
    if model.strategy is not IncrementalStrategy.APPEND:
        start = floor_to(reached, grain)
        return start if back is None else floor_to(moved(start, back, -1), grain)
    if back is not None:
        return moved(reached, back, -1)
    if model.append_inclusive:
        return reached
    return reached + 1 if isinstance(reached, int) else reached + _MICROSECOND


# -- batches ----------------------------------------------------------------------------------------------------------


def batch_size_of(model: Incremental, grain: Grain | None) -> Span | int:
    """Not smaller than the grain. Raises ValueError for a size that is none."""
    assert model.batch_size is not None
    assert model.cursor_type is not None
    size = read_step(model.batch_size, model.cursor_type)
    if grain is None or isinstance(size, int):
        return size
    least = step_of(grain)
    is_less = (size.months * 28 * 86_400 + size.seconds) < (least.months * 28 * 86_400 + least.seconds)
    return least if is_less else size


def batches_of(window: Window, size: Span | int, grain: Grain | None) -> list[Window]:
    """The pieces of a window, the earliest first. Raises ValueError if there are too many to be meant."""
    return list(_batches(window, size, grain))


def _batches(window: Window, size: Span | int, grain: Grain | None) -> Iterator[Window]:
    start, number = window.start, 0
    while _below(start, window.end):
        number += 1
        if number > MAX_BATCHES:
            raise ValueError(f"{window} gives more than {MAX_BATCHES:,} batches")
        # Counted from the beginning: months are not all of one length.
        edge = floor_to(moved(window.covers_from, size, number), grain)
        end = _lowest(edge, window.end)
        yield Window(start=start, end=end, covers_from=window.covers_from if number == 1 else start)
        if not _below(start, end):
            return
        start = end
