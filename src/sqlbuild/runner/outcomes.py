"""How one attempt ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.record import record
from sqlbuild.domain.results import ErrorFacts, SkipMode, Status


@record(frozen=True, slots=True)
class Returned:
    """`payload` and `metadata` are JSON text."""

    payload: str | None = None
    metadata: str | None = None
    materialized: bool | None = None
    warnings: tuple[str, ...] = ()


NOTHING_RETURNED = Returned()


@record(frozen=True, slots=True)
class SkippedItself:
    reason: str
    mode: SkipMode
    metadata: str | None = None


@record(frozen=True, slots=True)
class Checked:
    """A check gave its verdict; `error` is what it failed with."""

    status: Status
    payload: str | None
    metadata: str | None
    error: ErrorFacts | None


@record(frozen=True, slots=True)
class Raised:
    """`facts` come from a worker process, where the traceback was."""

    error: BaseException
    facts: ErrorFacts | None = None


@record(frozen=True, slots=True)
class Cancelled:
    """Stopped with the run, and really ended; `error` is what the node left with."""

    error: BaseException


@record(frozen=True, slots=True)
class WouldRun:
    """A dry run did not call it; `why` tells what would happen."""

    why: str


@record(frozen=True, slots=True)
class Staged:
    """Nothing has taken effect yet: its gates look at `relation` first.

    `promote` lets it take effect, in an attempt with this number, and `discard` removes it; both are awaited with a slot
    that may be another one. `promote` may be awaited again if it has raised an error.
    """

    relation: Relation
    promote: Callable[[int], Awaitable[Outcome]]
    discard: Callable[[], Awaitable[None]]


Outcome = WouldRun | Returned | SkippedItself | Checked | Staged | Raised | Cancelled
