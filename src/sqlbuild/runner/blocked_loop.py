"""What is said of an async node that kept the event loop from running."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlbuild.errors import LoopBlocked
from sqlbuild.runner.attempts import Attempt
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised

_MOST = 5


def blocks_text(attempt: Attempt) -> Sequence[str]:
    """One line for each place, the longest first."""
    now = time.monotonic()
    places: dict[str, list[float]] = {}
    for block in attempt.blocks or ():
        places.setdefault(block.place, []).append((now if block.until is None else block.until) - block.since)
    ordered = sorted(places.items(), key=lambda found: -sum(found[1]))
    lines = [f"kept the event loop from running for {_seconds(lasted)} at {place}" for place, lasted in ordered[:_MOST]]
    return [*lines, f"and at {len(ordered) - _MOST:,} more places"] if len(ordered) > _MOST else lines


def _seconds(lasted: Sequence[float]) -> str:
    if len(lasted) == 1:
        return f"{lasted[0]:.1f} s"
    return f"{sum(lasted):.1f} s in {len(lasted):,} times"


def judged(attempt: Attempt, outcome: Outcome) -> Outcome:
    """With --strict-async: a node that has been named fails, whatever it returned."""
    if isinstance(outcome, Raised | Cancelled):
        return outcome
    return Raised(
        LoopBlocked(
            f"the node {blocks_text(attempt)[0]}",
            help="await something that does not block, use anyio.to_thread.run_sync(...), or make the node `def`",
        )
    )
