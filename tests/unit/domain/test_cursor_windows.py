from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.cursor_windows import (
    Extent,
    Inputs,
    NoRows,
    Window,
    batch_size_of,
    batches_of,
    floor_to,
    moved,
    read_step,
    read_value,
    value_text,
    window_of,
)
from sqlbuild.domain.incremental import (
    CursorType,
    Grain,
    Incremental,
    IncrementalBuild,
    IncrementalStrategy,
    Replay,
    Span,
    parse_span,
)

FORWARD = IncrementalBuild()
APPEND, DELETE_INSERT = IncrementalStrategy.APPEND, IncrementalStrategy.DELETE_INSERT


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def by_hour(strategy: IncrementalStrategy = DELETE_INSERT, **fields: object) -> Incremental:
    return Incremental(
        strategy=strategy,
        cursor="at",
        cursor_type=CursorType.TIMESTAMP,
        grain=Grain.HOUR,
        **fields,  # type: ignore[arg-type]
    )


def by_number(strategy: IncrementalStrategy = DELETE_INSERT, **fields: object) -> Incremental:
    return Incremental(strategy=strategy, cursor="id", cursor_type=CursorType.INTEGER, **fields)  # type: ignore[arg-type]


def reached(*values: tuple[object, object] | None, grains: tuple[Grain | None, ...] = ()) -> Inputs:
    extents = [Extent() if each is None else Extent(low=each[0], high=each[1]) for each in values]  # type: ignore[arg-type]
    return Inputs(extents=extents, watermarks=range(len(extents)), grains=grains)


def text(found: Window | NoRows) -> str:
    assert isinstance(found, Window)
    return str(found)


FROM_TEN = reached((at("2026-04-01T10:20:30"), at("2026-04-03T17:45:00")))


def test_a_first_build_reads_all_that_its_inputs_have_in_whole_grains():
    assert text(window_of(by_hour(), FROM_TEN, FORWARD, None)) == "2026-04-01 10:00:00 to 2026-04-03 18:00:00"
    assert text(window_of(by_number(), reached((3, 9)), FORWARD, None)) == "3 to 10"


def test_a_later_build_begins_with_the_grain_that_the_table_has_reached():
    target = Extent(low=at("2026-04-01"), high=at("2026-04-02T09:10:00"))
    assert text(window_of(by_hour(), FROM_TEN, FORWARD, target)) == "2026-04-02 09:00:00 to 2026-04-03 18:00:00"
    assert text(window_of(by_number(), reached((1, 9)), FORWARD, Extent(low=1, high=6))) == "6 to 10"


def test_an_emptied_table_is_filled_from_the_beginning():
    assert text(window_of(by_number(), reached((3, 9)), FORWARD, Extent())) == "3 to 10"


def test_rows_that_are_appended_begin_with_the_last_value_or_behind_it():
    target = Extent(low=at("2026-04-01"), high=at("2026-04-02T09:10:00"))
    inclusive = window_of(by_hour(APPEND), FROM_TEN, FORWARD, target)
    exclusive = window_of(by_hour(APPEND, append_inclusive=False), FROM_TEN, FORWARD, target)
    assert text(inclusive) == "2026-04-02 09:10:00 to 2026-04-03 18:00:00"
    assert text(exclusive) == "2026-04-02 09:10:00.000001 to 2026-04-03 18:00:00"
    assert isinstance(exclusive, Window)
    assert exclusive.covers_from == exclusive.start
    number = by_number(APPEND, append_inclusive=False)
    assert text(window_of(number, reached((1, 9)), FORWARD, Extent(low=1, high=6))) == "7 to 10"
    assert text(window_of(number, reached((1, 9)), FORWARD, None)) == "1 to 10"


@pytest.mark.parametrize(
    ("lookback", "start"),
    [("30m", "2026-04-02 08:00:00"), ("3d", "2026-03-30 09:00:00"), ("1mo", "2026-03-02 09:00:00")],
)
def test_a_lookback_begins_earlier_and_with_a_whole_grain(lookback: str, start: str):
    target = Extent(low=at("2026-04-01"), high=at("2026-04-02T09:10:00"))
    found = window_of(by_hour(lookback=lookback), FROM_TEN, FORWARD, target)
    assert text(found).startswith(f"{start} to ")


def test_nothing_before_cursor_start_or_from_cursor_end_on_is_read():
    model = by_number(start=5, end="8", lookback=4)
    assert text(window_of(model, reached((1, 9)), FORWARD, None)) == "5 to 8"
    assert text(window_of(model, reached((1, 9)), FORWARD, Extent(low=5, high=7))) == "5 to 8"


def test_a_window_goes_as_far_as_the_input_that_is_behind_or_ahead_if_any_counts():
    both = reached((1, 9), (1, 5))
    assert text(window_of(by_number(), both, FORWARD, None)) == "1 to 6"
    assert text(window_of(by_number(any_watermark=True), both, FORWARD, None)) == "1 to 10"


def test_inputs_without_rows_are_waited_for():
    assert window_of(by_number(), reached(None), FORWARD, None) == NoRows((0,))
    assert window_of(by_number(), reached((1, 9), None), FORWARD, None) == NoRows((1,), partly=True)
    assert text(window_of(by_number(any_watermark=True), reached((1, 9), None), FORWARD, None)) == "1 to 10"
    assert window_of(by_number(any_watermark=True), reached(None, None), FORWARD, None) == NoRows((0, 1))


def test_inputs_that_are_no_watermarks_do_not_bound_a_window():
    inputs = Inputs(extents=[Extent(low=1, high=4), Extent(low=2, high=9)], watermarks=[1])
    assert text(window_of(by_number(), inputs, FORWARD, None)) == "1 to 10"


def test_bounds_of_the_command_come_first_and_take_in_whole_grains():
    build = IncrementalBuild(start=at("2026-04-02T10:30:00"), end=at("2026-04-02T12:30:00"))
    target = Extent(low=at("2026-04-01"), high=at("2026-04-03"))
    assert text(window_of(by_hour(), FROM_TEN, build, target)) == "2026-04-02 10:00:00 to 2026-04-02 13:00:00"
    assert text(window_of(by_hour(), reached(None), build, target)) == "2026-04-02 10:00:00 to 2026-04-02 13:00:00"


def test_a_bounded_replay_goes_back_from_the_end_and_at_least_to_where_the_table_is():
    target = Extent(low=at("2026-04-01"), high=at("2026-04-03T12:00:00"))
    two_days = IncrementalBuild(replay=Replay(span=Span(0, 2 * 86_400)))
    assert text(window_of(by_hour(), FROM_TEN, two_days, target)).startswith("2026-04-01 18:00:00 to ")
    one_minute = IncrementalBuild(replay=Replay(span=Span(0, 60)))
    assert text(window_of(by_hour(), FROM_TEN, one_minute, target)).startswith("2026-04-03 12:00:00 to ")
    assert text(window_of(by_number(), reached((1, 900)), one_minute, Extent(low=1, high=880))) == "841 to 901"


def test_a_window_is_aligned_to_the_coarsest_grain_that_takes_part():
    inputs = reached((at("2026-04-01"), at("2026-04-03")), grains=(Grain.DAY,))
    target = Extent(low=at("2026-04-01"), high=at("2026-04-02T23:00:00"))
    assert text(window_of(by_hour(), inputs, FORWARD, target)) == "2026-04-02 to 2026-04-04"
    assert batch_size_of(by_hour(batch_size="6h"), Grain.DAY) == Span(0, 86_400)
    assert batch_size_of(by_hour(batch_size="2d"), Grain.DAY) == Span(0, 2 * 86_400)


def test_a_table_that_is_ahead_of_its_inputs_has_nothing_to_do():
    found = window_of(by_number(), reached((1, 4)), FORWARD, Extent(low=1, high=9))
    assert isinstance(found, Window)
    assert found.is_empty


def test_batches_are_the_window_in_pieces():
    window = Window(start=3, end=10, covers_from=3)
    assert list(map(str, batches_of(window, 3, None))) == ["3 to 6", "6 to 9", "9 to 10"]
    months = Window(start=at("2026-01-31"), end=at("2026-04-15"), covers_from=at("2026-01-31"))
    assert [value_text(each.end) for each in batches_of(months, Span(1), Grain.DAY)] == [
        "2026-02-28", "2026-03-31", "2026-04-15",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="more than 100,000 batches"):
        batches_of(Window(start=0, end=10**9, covers_from=0), 1, None)


@given(
    st.datetimes(at("2000-01-01"), at("2030-01-01")),
    st.integers(0, 5_000_000),
    st.sampled_from([Span(0, 3_600), Span(0, 90_000), Span(1), Span(12, 86_400)]),
    st.sampled_from(Grain),
)
def test_batches_follow_one_another_without_gaps(start, seconds, size, grain):
    window = Window(start=start, end=start + datetime.timedelta(seconds=seconds), covers_from=floor_to(start, grain))
    model = by_hour(batch_size=str(size))
    batches = batches_of(window, batch_size_of(model, grain), grain)
    edges = [window.start, *(batch.end for batch in batches)]
    assert [batch.start for batch in batches] == edges[:-1]
    assert edges[-1] == window.end
    assert not any(batch.is_empty for batch in batches)


@pytest.mark.parametrize("written", ["1d", "6h", "1mo", "1d12h", "90s", "2y3mo", "15m"])
def test_a_length_of_time_is_written_as_it_is_read(written: str):
    span = parse_span(written)
    assert span is not None
    assert parse_span(str(span)) == span


@pytest.mark.parametrize("written", ["", "d", "0d", "1", "-1d", "1 day", "1h1d"])
def test_what_is_no_length_of_time_is_none(written: str):
    assert parse_span(written) is None


def test_values_are_read_by_the_type_of_the_cursor():
    assert read_value("2026-04-01", CursorType.TIMESTAMP) == at("2026-04-01")
    assert read_value("2026-04-01T12:00:00+02:00", CursorType.TIMESTAMP) == at("2026-04-01T10:00:00")
    assert read_value("41", CursorType.INTEGER) == 41
    for wrong, type_ in (("soon", CursorType.TIMESTAMP), (5, CursorType.TIMESTAMP), ("1d", CursorType.INTEGER)):
        with pytest.raises(ValueError, match=r"as the cursor is|is no date or time"):
            read_value(wrong, type_)
    for wrong, type_ in (("0", CursorType.INTEGER), ("x", CursorType.INTEGER), (3, CursorType.TIMESTAMP)):
        with pytest.raises(ValueError, match=r"above zero|no whole number|no length of time"):
            read_step(wrong, type_)


def test_moments_do_not_leave_the_calendar():
    assert moved(at("9999-12-30"), Span(0, 10 * 86_400)) == at("9999-12-31")
    assert moved(at("0001-01-02"), Span(1), -1) == at("0001-01-01")
