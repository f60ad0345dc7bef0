"""What happens while a run lasts, for the `on_event` of `sqlbuild.build`; frozen records, told apart by their type."""

from __future__ import annotations

from sqlbuild.domain.events import (
    Event,
    LogLinesDropped,
    NodeFinished,
    NodeLogged,
    NodeProgress,
    NodeRetrying,
    NodeStaged,
    NodeStarted,
    PoolPaused,
    PoolUse,
    RunFinished,
    RunNote,
    RunStarted,
    RunStopping,
    RunWarning,
    WaitingForTarget,
)

__all__ = [
    "Event",
    "LogLinesDropped",
    "NodeFinished",
    "NodeLogged",
    "NodeProgress",
    "NodeRetrying",
    "NodeStaged",
    "NodeStarted",
    "PoolPaused",
    "PoolUse",
    "RunFinished",
    "RunNote",
    "RunStarted",
    "RunStopping",
    "RunWarning",
    "WaitingForTarget",
]
