"""What happened, told to the sinks. `at` is seconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping

from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.record import record
from sqlbuild.domain.results import ErrorFacts, NodeResult, RunResult


@record(frozen=True, slots=True, kw_only=True)
class RunStarted:
    at: float
    run_id: str
    target: str
    plan: Plan
    lanes: Mapping[str, int]
    """Lane or pool name -> limit."""
    dry_run: bool = False


@record(slots=True)
class NodeStarted:
    """Not frozen, as there is one for every attempt: making it costs a fourth."""

    at: float
    node: NodeId
    kind: NodeKind
    name: str
    attempt: int


@record(frozen=True, slots=True)
class NodeStaged:
    """A model waits for its gates: it holds no slot. When they have ended it is started once more, in the same attempt."""

    at: float
    node: NodeId
    name: str
    attempt: int
    gates: tuple[NodeId, ...]


@record(frozen=True, slots=True)
class NodeProgress:
    at: float
    node: NodeId
    done: float
    total: float | None
    message: str | None


@record(frozen=True, slots=True)
class NodeLogged:
    at: float
    node: NodeId
    name: str
    attempt: int
    level: str
    message: str
    fields: Mapping[str, object]


@record(frozen=True, slots=True)
class LogLinesDropped:
    """More was logged than could be shown, and this many messages were not, by level. The nodes' logs have them."""

    at: float
    counts: Mapping[str, int]


@record(frozen=True, slots=True)
class NodeRetrying:
    at: float
    node: NodeId
    name: str
    attempt: int
    delay: float
    """Seconds until the next attempt."""
    error: ErrorFacts


@record(slots=True)
class NodeFinished:
    """Not frozen, as there is one for every node."""

    at: float
    result: NodeResult


@record(frozen=True, slots=True)
class PoolPaused:
    """A service asked `node` to wait: nobody takes the pool for so many seconds."""

    at: float
    pool: str
    seconds: float
    node: NodeId
    name: str


@record(frozen=True, slots=True)
class PoolUse:
    """By `pool:name`, of ctx.pool blocks only: slots that they hold besides their nodes' own, and how many wait."""

    at: float
    used: Mapping[str, int]
    waiting: Mapping[str, int]


@record(frozen=True, slots=True)
class WaitingForTarget:
    """Another process holds the target; told once, and again from time to time. No run has begun yet."""

    at: float
    holder: str
    """Who it is and what holds it, in words."""
    waited: float
    timeout: float
    """Seconds, both."""


@record(frozen=True, slots=True)
class RunStopping:
    """A signal or --fail-fast stops the run; `grace` is how many seconds threads are waited for."""

    at: float
    cause: str
    grace: float


@record(frozen=True, slots=True)
class RunNote:
    """Something was put in order that nobody has to look at."""

    at: float
    message: str


@record(frozen=True, slots=True)
class RunWarning:
    at: float
    message: str


@record(frozen=True, slots=True)
class RunFinished:
    at: float
    result: RunResult


Event = (
    RunStarted
    | NodeStarted
    | NodeStaged
    | NodeProgress
    | NodeLogged
    | LogLinesDropped
    | NodeRetrying
    | NodeFinished
    | PoolPaused
    | PoolUse
    | WaitingForTarget
    | RunStopping
    | RunNote
    | RunWarning
    | RunFinished
)
