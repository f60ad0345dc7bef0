"""The last lines of a run: what happened, why, how long it took and what to do next. Pure."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Mapping, Sequence

from sqlbuild.domain.check_results import message_of
from sqlbuild.domain.ids import NodeId, NodeKind, name_of
from sqlbuild.domain.results import FAILURES, ErrorFacts, NodeResult, RunResult, Status
from sqlbuild.domain.unit_test_results import NOT_AS_EXPECTED
from sqlbuild.reporting.failures import error_text, place_text
from sqlbuild.reporting.wording import Paint, Style, counted, first_few, one_line, plain, seconds_text

STATUS_STYLES: Mapping[Status, Style] = {
    Status.SUCCEEDED: "good",
    Status.WARNED: "notice",
    Status.FAILED: "bad",
    Status.TIMED_OUT: "bad",
    Status.UNKNOWN: "bad",
    Status.BLOCKED: "notice",
    Status.SKIPPED: "faint",
    Status.CANCELLED: "notice",
    Status.NOT_STARTED: "faint",
    Status.WOULD_RUN: "strong",
}
"""In the order in which counts are given."""

_FAILURE_LIMIT = 20
_WARNING_LIMIT = 10
_SLOWEST = 5
_PATH_ENDS = 3


def summary_lines(
    run: RunResult, warnings: Sequence[str] = (), *, paint: Paint = plain, brief: bool = False
) -> list[str]:
    """The summary of a run; `warnings` are those of the whole run, the nodes' own are added.

    `brief` leaves out everything but the counts and what to do next.
    """
    lines: list[str] = []
    if not brief:
        for section in (_failures(run, paint), _never_ran(run), _times(run), _warnings(run, warnings, paint)):
            if section:
                lines += [*section, ""]
    return [*lines, _verdict(run, paint), *_next_steps(run)]


def counts_text(counts: Mapping[Status, int], paint: Paint = plain) -> str:
    """`9 succeeded, 1 failed`; statuses that did not occur are left out."""
    return ", ".join(
        paint(f"{counts[status]:,} {status.replace('_', ' ')}", style)
        for status, style in STATUS_STYLES.items()
        if counts.get(status)
    )


def _verdict(run: RunResult, paint: Paint) -> str:
    took = seconds_text(max(run.finished_at - run.started_at, 0.0))
    counts = counts_text(run.counts(), paint) or "nothing to run"
    if run.stopped_by == "fail-fast":
        head = paint("stopped at the first failure", "bad")
    elif run.stopped_by:
        head = paint(f"stopped by {run.stopped_by}", "bad")
    elif run.exit_code:
        head = paint("failed", "bad")
    else:
        head = paint("done", "good")
    if run.dry_run:
        return f"dry run {head} in {took}: {counts}; nothing was written"
    return f"{head} in {took}: {counts}"


def _next_steps(run: RunResult) -> list[str]:
    if run.dry_run:
        return []
    counts = run.counts()
    if not any(counts.get(status) for status in (*FAILURES, Status.CANCELLED, Status.NOT_STARTED)):
        return []
    if all(result.kind is NodeKind.TEST for result in run.results.values()):
        return ["next: sqb test result:failed    (runs those again that failed)"]
    return [
        "next: sqb retry    (goes on with this run: what did not succeed, and what depends on it)",
        "      target/run_results.json holds every result with its error",
    ]


def _failures(run: RunResult, paint: Paint) -> list[str]:
    failed = [result for result in run.results.values() if result.status in FAILURES]
    if not failed:
        return []
    blocked = _blocked_by_cause(run)
    lines = [f"{paint('failed', 'bad')} ({len(failed):,}):"]
    for result in failed[:_FAILURE_LIMIT]:
        facts = [str(result.node_id)]
        if result.error is not None:
            place = place_text(result.error)
            facts += ([place] if place else []) + [_error_of(result.error)]
        else:
            facts.append(result.status.replace("_", " "))
        if result.attempt > 1:
            facts.append(f"after {result.attempt} attempts")
        lines.append("  " + "  ".join(facts))
        if result.node_id in blocked:
            names = blocked[result.node_id]
            lines.append(f"    blocked {len(names):,}: {first_few(names)}")
    if len(failed) > _FAILURE_LIMIT:
        lines.append(f"  and {len(failed) - _FAILURE_LIMIT:,} more: sqb list --select result:failed")
    return lines


def _error_of(error: ErrorFacts) -> str:
    """Of a unit test only what is wrong: how its rows differ is shown where it failed."""
    if error.type != NOT_AS_EXPECTED:
        return error_text(error)
    return error_text(dataclasses.replace(error, message=error.message.split("\n")[0]))


def _never_ran(run: RunResult) -> list[str]:
    """Cascades in a line each, however many nodes they hold."""
    groups: dict[str, list[str]] = {}
    for result in run.results.values():
        match result.status:
            case Status.BLOCKED:
                cause = result.because_of[0] if result.because_of else None
                # Beside its failure it is already told.
                if cause is None or _failed(run, cause):
                    continue
                groups.setdefault(f"blocked because of {cause}", []).append(result.name)
            case Status.SKIPPED if result.attempt == 0:
                groups.setdefault("skipped because what they depend on was", []).append(result.name)
            case Status.NOT_STARTED:
                groups.setdefault("not started", []).append(result.name)
            case _:
                continue
    shown = [f"{head} ({len(names):,}): {first_few(names)}" for head, names in list(groups.items())[:_FAILURE_LIMIT]]
    return shown + ([f"and {len(groups) - _FAILURE_LIMIT:,} more causes"] if len(groups) > _FAILURE_LIMIT else [])


def _failed(run: RunResult, node: NodeId) -> bool:
    result = run.results.get(node)
    return result is not None and result.status in FAILURES


def _blocked_by_cause(run: RunResult) -> dict[NodeId, list[str]]:
    blocked: dict[NodeId, list[str]] = {}
    for result in run.results.values():
        if result.status is Status.BLOCKED and result.because_of:
            blocked.setdefault(result.because_of[0], []).append(result.name)
    return blocked


def _times(run: RunResult) -> list[str]:
    ran = [result for result in run.results.values() if result.attempt]
    if len(ran) < 2:
        return []
    slowest = heapq.nlargest(_SLOWEST, ran, key=lambda result: result.duration)
    lines = ["slowest: " + ", ".join(f"{result.name} {seconds_text(result.duration)}" for result in slowest)]
    if len(run.critical_path) > 1:
        lines.append(f"critical path: {_path_text(run.critical_path, run.results)}")
    return lines


def _of_check(result: NodeResult) -> str:
    if result.error is not None:
        return f"{result.name}: {error_text(result.error)}"
    return f"{result.name}: {message_of(result) or 'did not pass'}"


def _path_text(path: Sequence[NodeId], results: Mapping[NodeId, NodeResult]) -> str:
    def with_time(node: NodeId) -> str:
        result = results.get(node)
        return f"{name_of(node)} {seconds_text(result.duration)}" if result else name_of(node)

    if len(path) <= 2 * _PATH_ENDS + 1:
        shown = [with_time(node) for node in path]
    else:
        shown = [with_time(node) for node in path[:_PATH_ENDS]]
        shown.append(f"({len(path) - 2 * _PATH_ENDS:,} more)")
        shown += [with_time(node) for node in path[-_PATH_ENDS:]]
    total = sum(results[node].duration for node in path if node in results)
    return f"{' > '.join(shown)}, together {seconds_text(total)}"


def _warnings(run: RunResult, of_run: Sequence[str], paint: Paint) -> list[str]:
    found = [*of_run]
    found += [_of_check(result) for result in run.results.values() if result.status is Status.WARNED]
    found += [f"{result.name}: {warning}" for result in run.results.values() for warning in result.warnings]
    if not found:
        return []
    lines = [f"{paint('warnings', 'notice')} ({len(found):,}):"]
    lines += [f"  {one_line(warning, 1_000)}" for warning in found[:_WARNING_LIMIT]]
    if len(found) > _WARNING_LIMIT:
        lines.append(f"  and {counted(len(found) - _WARNING_LIMIT, 'more', 'more')}")
    return lines
