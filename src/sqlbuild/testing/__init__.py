"""What tests of a project's nodes need: `run_node` and `arun_node` run one node without a project, `VirtualClock` makes
retries and rates take no time. The pytest fixture `sqb_project`, for whole projects, is there by itself."""

from __future__ import annotations

from sqlbuild.domain.results import NodeValue as Result
from sqlbuild.domain.results import SkipMode, Status, Verdict
from sqlbuild.domain.settings import Pool
from sqlbuild.testing.in_memory import Rows
from sqlbuild.testing.run_node import NodeRun, arun_node, run_node
from sqlbuild.testing.virtual_clock import VirtualClock

__all__ = [
    "NodeRun",
    "Pool",
    "Result",
    "Rows",
    "SkipMode",
    "Status",
    "Verdict",
    "VirtualClock",
    "arun_node",
    "run_node",
]
