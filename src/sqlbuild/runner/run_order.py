"""What a run is given: how to run its plan, and what to work with."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from sqlbuild.domain.events import Event
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.record import record
from sqlbuild.domain.results import NodeResult, RunResult
from sqlbuild.errors import EngineError
from sqlbuild.runner.checkpoints import Scopes
from sqlbuild.runner.exporting.paths import ExportPlaces
from sqlbuild.runner.rates import Rate

if TYPE_CHECKING:
    from sqlbuild.interfaces.clock import Clock
    from sqlbuild.interfaces.comparing import Comparing
    from sqlbuild.interfaces.executor import Executor
    from sqlbuild.interfaces.exporting import Copying
    from sqlbuild.interfaces.functions import FunctionBuilding
    from sqlbuild.interfaces.incremental import Deltas
    from sqlbuild.interfaces.loading import Loading
    from sqlbuild.interfaces.node_logs import NodeLogs
    from sqlbuild.interfaces.process_executor import ProcessExecutor
    from sqlbuild.interfaces.providers import ProviderSet
    from sqlbuild.interfaces.staging import Staging
    from sqlbuild.interfaces.state_store import Journal, StateStore
    from sqlbuild.interfaces.warehouse import Warehouse


@record(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """How to run a plan. `limits` has the three lanes; `pools` pool name -> slots; `grace` is in seconds."""

    run_id: str
    root: str
    limits: Mapping[str, int]
    pools: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """In the order of the settings."""
    rates: Mapping[str, Rate] = dataclasses.field(default_factory=dict)
    """Pool name -> rate, of those that have one."""
    checkpoints: Mapping[NodeId, Scopes] = dataclasses.field(default_factory=dict)
    """What nodes kept in the run that is resumed."""
    attempts: Mapping[NodeId, int] = dataclasses.field(default_factory=dict)
    """The last attempt of each node in the run that is resumed; the next one is counted on from there."""
    earlier: Mapping[NodeId, NodeResult] = dataclasses.field(default_factory=dict)
    """What nodes that do not run again did in the run that is resumed: for whoever reads them, it is this run."""
    vars: Mapping[str, object] = dataclasses.field(default_factory=dict)
    max_payload_bytes: int = 1_048_576
    fail_fast: bool = False
    grace: float = 10.0
    handle_signals: bool = False
    dry_run: bool = False
    blocked_loop_seconds: float = 0.25
    """For so long async nodes may keep the event loop from running before they are named."""
    strict_async: bool = False
    """A named node fails."""
    is_reload: bool = False
    """What `ctx.is_reload` tells loaders."""
    exports: ExportPlaces | None = None
    """Where `ctx.export` may write."""
    commits: Relation | None = None
    """`_sqlbuild_commits` of the target, where loads leave their markers."""


@record(frozen=True, slots=True, kw_only=True)
class RunServices:
    """What a run works with. `jitter` draws from [0, 1]; `encode` makes the record text of a result."""

    warehouse: Warehouse
    store: StateStore
    journal: Journal
    clock: Clock
    publish: Callable[[Event], None]
    make_executor: Callable[[int, Callable[[Callable[[], None]], None]], Executor]
    providers: ProviderSet | None = None
    """Of a project that has any."""
    encode: Callable[[NodeResult], str]
    jitter: Callable[[], float]
    leave_now: Callable[[int], None]
    """Ends the process at once with an exit code, after everything shown so far was written."""
    abandon: Callable[[RunResult], None]
    """Ends the process too, when a run is over and code of its nodes will not let the event loop go."""
    stop_asked: Callable[[], Awaitable[object]] | None = None
    """Returns when the run is to stop, because whoever waits for it was cancelled."""
    target_lost: Callable[[], Awaitable[EngineError]] | None = None
    """Returns when somebody else may write to the target, with what is said of it: the run must stop."""
    make_processes: Callable[[str], ProcessExecutor] | None = None
    """Worker processes for nodes with `isolate="process"`, given the project's folder."""
    on_error: Callable[[NodeId, BaseException], None] | None = None
    """Told what each attempt that failed raised, on the event loop, before it becomes text."""
    copying: Copying | None = None
    """Of a run whose nodes may write files."""
    loading: Loading | None = None
    """Of a run that may have loaders."""
    functions: FunctionBuilding | None = None
    """Of a run whose project may have SQL functions."""
    comparing: Comparing | None = None
    """Of a run that may have unit tests."""
    staging: Staging | None = None
    """Of a run whose models may have gates."""
    deltas: Deltas | None = None
    """Of a run that may have incremental models."""
    logs: NodeLogs | None = None
    """Where what nodes say goes; without it, it is only published."""
    masker: Masker | None = None
    """Of a run that may have secrets: results, errors and checkpoints are masked before anybody gets them."""
