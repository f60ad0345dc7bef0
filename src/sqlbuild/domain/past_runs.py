"""Runs that a target has seen, as people are told of them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from sqlbuild.domain.record import record
from sqlbuild.domain.results import Status


class Ending(enum.StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    """By a signal, or because whoever waited for it was cancelled."""
    KILLED = "killed"
    """Its process ended before it could write the end of the run."""
    RUNNING = "running"
    DAMAGED = "damaged"
    """Its journal cannot be read, and the warehouse has nothing of it."""


@record(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run, from its beginning to its last end, however often it was gone on with. Times are seconds since the epoch."""

    run_id: str
    ending: Ending
    started_at: float | None = None
    finished_at: float | None = None
    """Of a run that was killed: its last known moment."""
    seconds: float | None = None
    """How long its processes took, without the time between them."""
    exit_code: int | None = None
    stopped_by: str | None = None
    counts: Mapping[Status, int] = dataclasses.field(default_factory=dict)
    """How many nodes ended how, each counted by its last result."""
    planned: int | None = None
    """How many nodes it has, where that is known."""
    at_work: int = 0
    """Of a run that goes on."""
    resumed: int = 0
    """How often it was gone on with."""
    command: str | None = None
    """For example `sqb build +orders --fail-fast`, where its journal is still there."""
    can_be_resumed: bool = False
    damage: str | None = None
    """What is wrong with its journal."""
