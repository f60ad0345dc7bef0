"""A node that works in batches, and the slot of its lane."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio

from sqlbuild.domain.ids import NodeId
from sqlbuild.runner.attempts import Attempt
from sqlbuild.runner.capacity import Capacity, Lane, need_of
from sqlbuild.runner.connection_slots import ConnectionRequest
from sqlbuild.runner.turns import Turns
from sqlbuild.testing import VirtualClock

NEED = need_of(Lane.CONNECTIONS, ("crm",))


class Stage:
    """One connection, held by `attempt`, and whoever else was granted one."""

    def __init__(self) -> None:
        self.capacity: Capacity[Any] = Capacity({"connections": 1, "threads": 1, "concurrency": 1, "pool:crm": 2})
        self.clock = VirtualClock()
        self.granted: list[NodeId] = []
        self.turns = Turns(self.capacity, self.clock, self.grant)
        nothing: Any = SimpleNamespace()
        self.attempt = Attempt(step=nothing, node=nothing, number=1, need=NEED, session=None)
        self.capacity.add(NodeId("model:batches"), NEED, 0)
        self.grant()

    def grant(self) -> None:
        nodes, requests = self.capacity.grant()
        self.granted += [node for node, _ in nodes]
        for request in requests:
            request.granted.set()


async def test_where_nobody_waits_it_goes_on_at_once():
    stage = Stage()
    await stage.turns.give_way(stage.attempt)
    assert stage.capacity.in_use()["connections"] == 1
    assert stage.attempt.held == NEED
    assert stage.attempt.seconds_for_others(0.0) == 0.0


async def test_who_waits_already_goes_first_and_its_time_does_not_count():
    stage = Stage()
    other = NodeId("model:other")
    stage.capacity.add(other, need_of(Lane.CONNECTIONS, ()), 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.turns.give_way, stage.attempt)
        await anyio.wait_all_tasks_blocked()
        assert stage.granted[-1] == other
        assert stage.attempt.held == ("pool:crm",)
        await stage.clock.sleep_until(7)
        assert stage.attempt.seconds_for_others(stage.clock.monotonic()) == 7
        stage.capacity.give_back(need_of(Lane.CONNECTIONS, ()))
        stage.grant()
    assert stage.attempt.held == NEED
    assert stage.attempt.seconds_for_others(100) == 7


async def test_cancelled_while_it_waits_it_gives_back_what_it_has_and_no_more():
    stage = Stage()
    stage.capacity.add_statement(ConnectionRequest())
    stage.capacity.add(NodeId("model:other"), need_of(Lane.CONNECTIONS, ()), 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.turns.give_way, stage.attempt)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    stage.capacity.give_back(stage.attempt.held)
    assert stage.capacity.in_use() == {"connections": 1, "threads": 0, "concurrency": 0, "pool:crm": 0}
