"""The moving part of the live view: a window of running nodes, what waits, and the totals. Pure."""

from __future__ import annotations

from sqlbuild.domain.events import NodeProgress, NodeStarted
from sqlbuild.reporting.capacity_use import CapacityUse
from sqlbuild.reporting.run_progress import RunProgress
from sqlbuild.reporting.summary import counts_text
from sqlbuild.reporting.wording import Style, one_line, seconds_text, tenths_text

Line = tuple[str, Style | None]

_RUNNING_LIMIT = 10
_LANE_NAMES = {"concurrency": "async", "threads": "threads", "connections": "connections"}
_BAR_WIDTH = 24
_SHORTEST_BAR = 5
"""A narrow window shows the numbers rather than a bar."""
_FIXED_LINES = 5
"""All but the running nodes: more running, retrying, slots, counts, bar."""


def window_lines(
    progress: RunProgress, capacity: CapacityUse, *, now: float, height: int, width: int = 100, unicode: bool = True
) -> list[Line]:
    """At most `height` lines (but two at least), the totals last; `now` is seconds since the epoch.

    Lines may be longer than `width`; only the bar gives way to what follows it.
    """
    room = max(min(_RUNNING_LIMIT, height - _FIXED_LINES), 0)
    lines: list[Line] = []
    for started in list(progress.running.values())[:room]:
        lines.append((f"  {_running_text(started, progress.told.get(started.node), now)}", None))
    more = len(progress.running) - room
    if more > 0:
        lines.append((f"  and {more:,} more running" if room else f"  {more:,} running", "faint"))
    if progress.retrying:
        lines.append((f"  {_retrying_text(progress, now)}", "notice"))
    slots = _slots_text(capacity, now)
    if slots:
        lines.append((f"  {slots}", "faint"))
    totals: list[Line] = [(f"  {counts_text(progress.counts) or 'nothing finished yet'}", None)]
    totals.append((_bar_text(progress, now, width, unicode), "strong"))
    return [*lines[: max(height - len(totals), 0)], *totals]


def _running_text(started: NodeStarted, told: NodeProgress | None, now: float) -> str:
    text = f"{started.kind:<6} {started.name}  {tenths_text(now - started.at)}"
    if started.attempt > 1:
        text += f"  attempt {started.attempt}"
    if told is None:
        return text
    text += f"  {told.done:,.10g}"
    if told.total:
        text += f"/{told.total:,.10g} ({told.done / told.total:.0%})"
    if told.message:
        text += f"  {one_line(str(told.message), 80)}"
    return text


def _retrying_text(progress: RunProgress, now: float) -> str:
    waiting = list(progress.retrying.values())
    shown = [f"{node.name} (attempt {node.attempt} {_due_text(node.at - now)})" for node in waiting[:3]]
    more = f" and {len(waiting) - 3:,} more" if len(waiting) > 3 else ""
    return f"retrying: {', '.join(shown)}{more}"


def _due_text(seconds: float) -> str:
    """A node whose time has come may still wait for a slot."""
    return f"in {tenths_text(seconds)}" if seconds > 0 else "due"


def _slots_text(capacity: CapacityUse, now: float) -> str:
    parts = []
    for place, limit in capacity.limits.items():
        used, waiting = capacity.used_of(place), capacity.waiting_for(place)
        paused = capacity.paused_until.get(place, now) - now
        if not used and not waiting and paused <= 0:
            continue
        name = _LANE_NAMES.get(place) or place.replace(":", " ", 1)
        parts.append(f"{name} {used:,}/{limit:,}" + (f", {waiting:,} waiting" if waiting else ""))
        if paused > 0:
            parts[-1] += f", paused {tenths_text(paused)}"
    return "   ".join(parts)


def _bar_text(progress: RunProgress, now: float, width: int, unicode: bool) -> str:
    share = progress.finished / progress.total if progress.total else 1.0
    full, empty = ("\u2588", "\u2591") if unicode else ("#", "-")
    text = f"{progress.finished:,}/{progress.total:,}  {int(share * 100)}%  {tenths_text(now - progress.started_at)}"
    remaining = progress.remaining_seconds(now)
    if remaining is not None:
        left = f"{max(round(remaining), 1)} s" if remaining < 59.5 else seconds_text(remaining)
        text += f", about {left} left"
    length = max(min(_BAR_WIDTH, width - len(text) - 1), 0)
    if length < _SHORTEST_BAR:
        return text
    filled = int(share * length)
    return f"{full * filled}{empty * (length - filled)} {text}"
