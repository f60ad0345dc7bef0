"""What a command is asked to work on, as text, and what that turned out to be."""

from __future__ import annotations

from collections.abc import Iterable

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class Selection:
    """Selectors as the command line gives them; no `select` means everything."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    only: bool = False
    """Add no upstream that the target lacks."""
    allow_empty: bool = False
    """A selection without any node is no error."""
    no_python: bool = False
    """Leave out every asset, task and check but those that a selected loader needs."""
    load: bool | None = None
    """False: leave out every loader. None: as the settings say."""
    loaders_alone: bool = False
    """Nothing but loaders: those that are selected and those of selected sources, and what they need and lack."""
    seeds_alone: bool = False
    """Nothing but the seeds that are selected."""
    changed: bool = False
    """Of all this only what is not up to date, and what depends on that."""
    defer_to: str | None = None
    """The target at which everything that is not selected is read, as far as it has it."""
    no_checks: bool = False
    """Leave out every audit and check."""
    audits_alone: bool = False
    """Nothing but audits: those that are selected, and those of what is selected, against what exists."""
    no_tests: bool = False
    """Leave out every unit test."""
    tests_alone: bool = False
    """Nothing but unit tests: those that are selected, and those of what is selected."""
    case: str | None = None
    """Of unit tests that have cases, only this one."""
    checks_alone: bool = False
    """Nothing but checks: those that are selected, and those of what is selected, against what exists."""


@record(frozen=True, slots=True, kw_only=True)
class Selected:
    """The nodes a selection means. Sources may be among them; a plan leaves them out."""

    nodes: frozenset[NodeId]
    required: frozenset[NodeId]
    """Those of `nodes` that were added because something selected needs them and the target lacks them."""
    allow_empty: bool = False
    """As asked for: nothing to run is no error."""
    warnings: tuple[str, ...] = ()
    """What was left out, and why."""
    changed: bool = False
    """Only what is not up to date, and what depends on that."""


def split_selectors(values: Iterable[str]) -> tuple[str, ...]:
    """Selectors out of values that may each hold several, parted by spaces."""
    # An empty value stays one: `--select "$NODE"` with an unset variable must not mean everything.
    return tuple(part for value in values for part in (value.split() or [""]))
