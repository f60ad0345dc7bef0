from __future__ import annotations

import pytest

from sqlbuild.domain.events import NodeFinished, NodeRetrying, NodeStaged, NodeStarted
from sqlbuild.domain.ids import kind_of, name_of
from sqlbuild.reporting.capacity_use import CapacityUse


@pytest.fixture
def capacity(make_graph, make_node, make_plan, started):
    graph = make_graph(
        make_node("model:m"),
        make_node("task:sync", is_async=False),
        make_node("task:a", is_async=True, pools=("crm",)),
        make_node("task:b", is_async=True, pools=("crm",)),
        make_node("task:c", ["task:a"], is_async=True),
    )
    capacity = CapacityUse()
    capacity.handle(started(make_plan(graph), **{"concurrency": 64, "threads": 16, "connections": 4, "pool:crm": 1}))
    return capacity


def start_of(node, attempt=1):
    return NodeStarted(0.0, node, kind_of(node), name_of(node), attempt)


def test_ready_nodes_wait_in_their_pools_or_else_in_their_lane(capacity):
    assert capacity.waiting == {"connections": 1, "threads": 1, "pool:crm": 2}
    assert capacity.used == {}


def test_a_running_node_holds_its_lane_and_its_pools(capacity, make_result):
    capacity.handle(start_of("task:a"))
    assert capacity.used == {"concurrency": 1, "pool:crm": 1}
    assert capacity.waiting["pool:crm"] == 1
    capacity.handle(NodeFinished(0.0, make_result("task:a")))
    assert capacity.used == {"concurrency": 0, "pool:crm": 0}


def test_a_node_becomes_ready_with_its_last_upstream(capacity, make_result):
    assert "concurrency" not in capacity.waiting
    capacity.handle(start_of("task:a"))
    capacity.handle(NodeFinished(0.0, make_result("task:a")))
    assert capacity.waiting["concurrency"] == 1
    capacity.handle(start_of("task:c"))
    assert capacity.waiting["concurrency"] == 0


def test_a_node_that_waits_for_its_next_attempt_holds_nothing(capacity, make_result, make_error):
    capacity.handle(start_of("task:a"))
    capacity.handle(NodeRetrying(0.0, "task:a", "a", 1, 1.0, make_error()))
    assert capacity.used == {"concurrency": 0, "pool:crm": 0}
    capacity.handle(start_of("task:a", attempt=2))
    assert capacity.used == {"concurrency": 1, "pool:crm": 1}
    assert capacity.waiting["pool:crm"] == 1


def test_a_node_that_never_runs_leaves_the_queue(capacity, make_result):
    capacity.handle(NodeFinished(0.0, make_result("task:b", "not_started")))
    capacity.handle(NodeFinished(0.0, make_result("task:a", "not_started")))
    capacity.handle(NodeFinished(0.0, make_result("task:c", "blocked")))
    assert capacity.waiting["pool:crm"] == 0
    assert capacity.waiting.get("concurrency", 0) == 0
    assert capacity.used == {}


def test_an_event_without_a_plan_changes_nothing():
    capacity = CapacityUse()
    capacity.handle(start_of("task:a"))
    assert (capacity.used, capacity.waiting) == ({}, {})


def test_a_model_that_waits_for_its_gates_holds_nothing_and_they_wait_in_its_place(
    make_graph, make_node, make_plan, started, make_result
):
    graph = make_graph(make_node("model:m"), make_node("audit:m.a", ["model:m"], target="model:m"))
    capacity = CapacityUse()
    capacity.handle(started(make_plan(graph), connections=4))
    capacity.handle(start_of("model:m"))
    capacity.handle(NodeStaged(0.0, "model:m", "m", 1, ("audit:m.a",)))
    assert (capacity.used, capacity.waiting) == ({"connections": 0}, {"connections": 1})
    capacity.handle(start_of("audit:m.a"))
    capacity.handle(NodeFinished(0.0, make_result("audit:m.a")))
    assert (capacity.used, capacity.waiting) == ({"connections": 0}, {"connections": 0})
    capacity.handle(start_of("model:m"))
    assert capacity.used == {"connections": 1}
    capacity.handle(NodeFinished(0.0, make_result("model:m")))
    assert (capacity.used, capacity.waiting) == ({"connections": 0}, {"connections": 0})
