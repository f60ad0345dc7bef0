from __future__ import annotations

import pytest

from sqlbuild.domain.events import NodeFinished, NodeProgress, NodeRetrying, NodeStarted, PoolPaused, PoolUse
from sqlbuild.domain.ids import NodeKind
from sqlbuild.reporting.capacity_use import CapacityUse
from sqlbuild.reporting.run_progress import RunProgress
from sqlbuild.reporting.window import window_lines


@pytest.fixture
def view(make_graph, make_node, make_plan, started, start):
    """`view(*events, now=, height=)` gives the window's texts in a run of 40 async tasks, 20 of them in a pool."""
    nodes = [
        make_node(f"task:n{number:02}", is_async=True, pools=("crm",) if number >= 20 else ()) for number in range(40)
    ]
    opened = started(make_plan(make_graph(*nodes)), **{"concurrency": 64, "threads": 16, "pool:crm": 8})

    def show(*events, now=2.0, height=30, width=100, unicode=False):
        progress, capacity = RunProgress(), CapacityUse()
        for event in (opened, *events):
            progress.handle(event)
            capacity.handle(event)
        lines = window_lines(progress, capacity, now=start + now, height=height, width=width, unicode=unicode)
        return [text for text, _ in lines]

    return show


def begin(number, at, attempt=1):
    return NodeStarted(at, f"task:n{number:02}", NodeKind.TASK, f"n{number:02}", attempt)


def test_it_starts_with_what_waits_and_an_empty_bar(view):
    assert view() == [
        "  async 0/64, 20 waiting   pool crm 0/8, 20 waiting",
        "  nothing finished yet",
        "------------------------ 0/40  0%  2.0 s",
    ]


def test_running_nodes_show_time_attempt_and_progress(view, start):
    lines = view(
        begin(0, start),
        begin(21, start + 1.5, attempt=2),
        NodeProgress(start, "task:n00", 1_200, 5_000, "pushing\nrows"),
        NodeProgress(start, "task:n21", 3, None, None),
    )
    assert lines[:2] == [
        "  task   n00  2.0 s  1,200/5,000 (24%)  pushing rows",
        "  task   n21  0.5 s  attempt 2  3",
    ]
    assert lines[2] == "  async 2/64, 19 waiting   pool crm 1/8, 19 waiting"


def test_blocks_count_in_their_pools_and_a_pause_is_counted_down(view, start):
    lines = view(
        begin(0, start),
        begin(21, start),
        PoolUse(start, {"pool:crm": 3, "pool:mail": 0}, {"pool:crm": 7}),
        PoolPaused(start, "crm", 5.0, "task:n00", "n00"),
    )
    assert lines[2] == "  async 2/64, 19 waiting   pool crm 4/8, 26 waiting, paused 3.0 s"
    over = view(begin(0, start), PoolPaused(start, "crm", 1.0, "task:n00", "n00"))
    assert "paused" not in over[1]


def test_never_more_than_ten_running_nodes_are_listed(view, start):
    lines = view(*(begin(number, start) for number in range(20)))
    assert [line.split()[1] for line in lines[:10]] == [f"n{number:02}" for number in range(10)]
    assert lines[10] == "  and 10 more running"
    assert len(lines) == 14


@pytest.mark.parametrize("height", range(1, 20))
def test_a_small_terminal_gets_a_small_window_that_keeps_the_totals(view, start, make_error, height):
    events = [begin(number, start) for number in range(20)]
    events.append(NodeRetrying(start, "task:n30", "n30", 1, 5.0, make_error()))
    lines = view(*events, height=height)
    assert len(lines) <= max(height, 2)
    assert lines[-1].startswith("------------------------ 0/40")


def test_what_waits_for_its_next_attempt_is_counted_down(view, start, make_error):
    retries = [NodeRetrying(start, f"task:n{number}", f"n{number}", 1, 5.0, make_error()) for number in range(20, 25)]
    assert view(*retries)[0] == (
        "  retrying: n20 (attempt 2 in 3.0 s), n21 (attempt 2 in 3.0 s), n22 (attempt 2 in 3.0 s) and 2 more"
    )
    assert "n20 (attempt 2 due)" in view(*retries, now=60.0)[0]


def test_the_totals_show_counts_share_and_remaining_time(view, start, make_result):
    events = [NodeFinished(start, make_result(f"task:n{number:02}")) for number in range(9)]
    events.append(NodeFinished(start, make_result("task:n09", "failed")))
    assert view(*events, now=10.0)[-2:] == [
        "  9 succeeded, 1 failed",
        "######------------------ 10/40  25%  10.0 s, about 30 s left",
    ]
    assert view(*events, now=10.0, unicode=True)[-1].startswith("██████░░░")


@pytest.mark.parametrize(
    ("width", "bar"),
    [(80, "------------------------ 0/40  0%  2.0 s"), (28, "------------ 0/40  0%  2.0 s"), (20, "0/40  0%  2.0 s")],
)
def test_in_a_narrow_window_the_numbers_stay_and_the_bar_gives_way(view, width, bar):
    assert view(width=width)[-1] == bar
