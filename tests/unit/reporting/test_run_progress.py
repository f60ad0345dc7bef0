from __future__ import annotations

import pytest

from sqlbuild.domain.events import NodeFinished, NodeProgress, NodeRetrying, NodeStarted
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import Status
from sqlbuild.reporting.run_progress import RunProgress


@pytest.fixture
def progress(make_graph, make_plan, started):
    progress = RunProgress()
    progress.handle(started(make_plan(make_graph({"task:a": [], "task:b": [], "task:c": [], "task:d": ["task:a"]}))))
    return progress


def begin(progress, node, at, attempt=1):
    progress.handle(NodeStarted(at, node, NodeKind.TASK, node.partition(":")[2], attempt))


def test_running_nodes_stand_in_the_order_of_their_start(progress, start, make_result):
    begin(progress, "task:b", start + 1)
    begin(progress, "task:a", start + 2)
    assert list(progress.running) == ["task:b", "task:a"]
    progress.handle(NodeFinished(start + 3, make_result("task:b")))
    assert list(progress.running) == ["task:a"]
    assert (progress.finished, progress.total) == (1, 4)
    assert progress.counts == {Status.SUCCEEDED: 1}


def test_a_node_between_two_attempts_does_not_run(progress, start, make_error):
    begin(progress, "task:a", start)
    progress.handle(NodeRetrying(start + 1, "task:a", "a", 1, 2.5, make_error()))
    assert progress.running == {}
    waiting = progress.retrying["task:a"]
    assert (waiting.name, waiting.attempt, waiting.at) == ("a", 2, start + 3.5)
    begin(progress, "task:a", start + 3.5, attempt=2)
    assert progress.retrying == {}
    assert progress.running["task:a"].attempt == 2


def test_a_node_stopped_between_two_attempts_waits_no_more(progress, start, make_result, make_error):
    progress.handle(NodeRetrying(start + 1, "task:a", "a", 1, 2.5, make_error()))
    progress.handle(NodeFinished(start + 2, make_result("task:a", "cancelled")))
    assert progress.retrying == {}


def test_progress_belongs_to_the_running_node(progress, start):
    begin(progress, "task:a", start)
    progress.handle(NodeProgress(start, "task:a", 3, 10, "third"))
    progress.handle(NodeProgress(start, "task:b", 1, None, None))
    told = progress.told["task:a"]
    assert (told.done, told.total, told.message) == (3, 10, "third")
    assert progress.told.keys() == {"task:a"}


def test_what_is_tried_again_begins_anew(progress, start, make_error):
    begin(progress, "task:a", start)
    progress.handle(NodeProgress(start, "task:a", 3, 10, None))
    progress.handle(NodeRetrying(start + 1, "task:a", "a", 1, 2.5, make_error()))
    begin(progress, "task:a", start + 4)
    assert progress.told == {}


def test_the_rest_takes_as_long_as_the_pace_so_far_says(progress, start, make_result):
    for node in ("task:a", "task:b"):
        progress.handle(NodeFinished(start + 6, make_result(node)))
    assert progress.remaining_seconds(start + 6) is None
    progress.handle(NodeFinished(start + 6, make_result("task:c")))
    assert progress.remaining_seconds(start + 6) == pytest.approx(2.0)
    assert progress.remaining_seconds(start + 0.5) is None


def test_with_history_the_longest_path_still_to_go_counts(make_graph, make_plan, started, start, make_result):
    graph = make_graph({f"task:n{number}": [] for number in range(5)})
    progress = RunProgress()
    progress.handle(started(make_plan(graph, priorities={"task:n4": 100.0}, estimated=100.0)))
    begin(progress, "task:n4", start)
    for number in range(3):
        progress.handle(NodeFinished(start + 10, make_result(f"task:n{number}")))
    assert progress.remaining_seconds(start + 10) == pytest.approx(90.0)
