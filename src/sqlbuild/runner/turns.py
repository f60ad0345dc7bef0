"""A node that works in batches lets others have its connection between two of them."""

from __future__ import annotations

from collections.abc import Callable

from sqlbuild.interfaces.clock import Clock
from sqlbuild.runner.attempts import Attempt
from sqlbuild.runner.capacity import Capacity, Waiter
from sqlbuild.runner.connection_slots import ConnectionRequest


class Turns:
    """`grant` lets whatever may start now start."""

    def __init__(self, capacity: Capacity[Waiter], clock: Clock, grant: Callable[[], None]) -> None:
        self._capacity = capacity
        self._clock = clock
        self._grant = grant

    async def give_way(self, attempt: Attempt) -> None:
        """Give the slot of an SQL node's lane back and wait for the next one; its pools it keeps. Cancelled, it may
        have none."""
        self._capacity.give_back_statement()
        attempt.has_lane = False
        attempt.waits_since = self._clock.monotonic()
        # Who waits already goes first.
        self._grant()
        request = ConnectionRequest()
        self._capacity.add_statement(request)
        self._grant()
        has_slot = True
        try:
            if not request.granted.is_set():
                await request.granted.wait()
        except BaseException:
            has_slot = not self._capacity.withdraw_statement(request)
            raise
        finally:
            attempt.seconds_waited += self._clock.monotonic() - attempt.waits_since
            attempt.waits_since = None
            attempt.has_lane = has_slot
