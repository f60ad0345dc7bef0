"""How far a run is: counts, what runs, what waits to be tried again. Fed by events; pure."""

from __future__ import annotations

from collections.abc import Mapping

from sqlbuild.domain.events import (
    Event,
    NodeFinished,
    NodeProgress,
    NodeRetrying,
    NodeStaged,
    NodeStarted,
    RunStarted,
)
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.plans import Step
from sqlbuild.domain.record import record
from sqlbuild.domain.results import Status


@record(slots=True)
class RetryingNode:
    """A node that waits for its next attempt, which may start at `at` (seconds since the epoch)."""

    name: str
    attempt: int
    """The attempt that comes next."""
    at: float


class RunProgress:
    """Counts of one run."""

    def __init__(self) -> None:
        self.total = 0
        self.finished = 0
        self.started_at = 0.0
        self.counts: dict[Status, int] = {}
        self.running: dict[NodeId, NodeStarted] = {}
        """What has its slot, in the order of the start, so the first ones have run longest."""
        self.told: dict[NodeId, NodeProgress] = {}
        """How far those are that have said it, last."""
        self.retrying: dict[NodeId, RetryingNode] = {}
        self._steps: Mapping[NodeId, Step] = {}
        self._has_history = False

    def handle(self, event: Event) -> None:
        # By hand: the two of which there are as many as nodes cost half as much as in a match.
        if isinstance(event, NodeFinished):
            node, status = event.result.node_id, event.result.status
            self.running.pop(node, None)
            if self.told:
                self.told.pop(node, None)
            if self.retrying:
                self.retrying.pop(node, None)
            self.finished += 1
            self.counts[status] = self.counts.get(status, 0) + 1
            return
        if isinstance(event, NodeStarted):
            if self.retrying:
                self.retrying.pop(event.node, None)
            self.running[event.node] = event
            return
        match event:
            case NodeProgress(node=node):
                if node in self.running:
                    self.told[node] = event
            case NodeRetrying(at=at, node=node, name=name, attempt=attempt, delay=delay):
                self.running.pop(node, None)
                self.told.pop(node, None)
                self.retrying[node] = RetryingNode(name, attempt + 1, at + delay)
            case NodeStaged(node=node):
                self.running.pop(node, None)
                self.told.pop(node, None)
            case RunStarted(at=at, plan=plan):
                self.total = len(plan.steps)
                self.started_at = at
                self._steps = plan.steps
                self._has_history = plan.estimated_seconds is not None
            case _:
                return

    def remaining_seconds(self, now: float) -> float | None:
        """About how long the run still takes, or None while too little has finished to tell.

        The larger of two estimates: the rest at the pace so far, and, with stored durations, the longest path that
        starts at a node that runs now.
        """
        elapsed = now - self.started_at
        if self.finished < 3 or elapsed < 1.0 or self.finished >= self.total:
            return None
        by_pace = elapsed / self.finished * (self.total - self.finished)
        if not self._has_history:
            return by_pace
        paths = (
            self._steps[node].priority - (now - running.at)
            for node, running in self.running.items()
            if node in self._steps
        )
        return max(by_pace, max(paths, default=0.0))
