"""Tasks: nodes that compute or cause something and produce no tracked artifact."""

from __future__ import annotations

from sqlbuild.authoring.contexts import AsyncTaskContext, TaskContext
from sqlbuild.authoring.declare import task
from sqlbuild.domain.results import SkipMode

__all__ = ["AsyncTaskContext", "SkipMode", "TaskContext", "task"]
