"""What a run prints for good: one line per node that ran, retries, warnings, failures and the summary. Pure."""

from __future__ import annotations

from typing import assert_never

from sqlbuild.domain.check_results import failed_by_verdict
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
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import FAILURES, NodeResult, RunResult, Status
from sqlbuild.domain.unit_test_results import NOT_AS_EXPECTED
from sqlbuild.reporting.checks import said_text
from sqlbuild.reporting.failures import error_text, failure_lines, place_text
from sqlbuild.reporting.loads import loaded_text
from sqlbuild.reporting.run_progress import RunProgress
from sqlbuild.reporting.summary import STATUS_STYLES, summary_lines
from sqlbuild.reporting.unit_tests import differences_painted, models_run
from sqlbuild.reporting.wording import Paint, counted, first_few, one_line, plain, safe_text, seconds_text, waiting_text

_WHOLE_FAILURES = 20
"""So many failures are shown with their traceback; the others get one line, or a bad day fills the disk."""
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_SAY_MORE = frozenset({NodeKind.CHECK, NodeKind.LOADER, NodeKind.SEED, NodeKind.TEST, NodeKind.MODEL})
_CASCADES = frozenset({Status.BLOCKED, Status.SKIPPED, Status.NOT_STARTED})


class RunLines:
    """Turns each event into the lines to print for it. `progress` is up to date with the events given."""

    def __init__(self, *, paint: Paint = plain, verbose: bool = False, quiet: bool = False) -> None:
        self.progress = RunProgress()
        self._paint = paint
        self._verbose = verbose
        self._quiet = quiet
        self._failures = 0
        self._not_shown = 0
        self._warnings: dict[str, None] = {}
        self._counter_width = 1
        self._name_width = 1
        self._kind_width = 1
        self._only_audits = False
        self._status_labels = {status: paint(f"{_words(status):<11}", STATUS_STYLES[status]) for status in Status}

    def lines(self, event: Event) -> list[str]:
        self.progress.handle(event)
        # By hand: those of which there are as many as nodes, and most of which say nothing.
        if isinstance(event, NodeFinished):
            return self._finished(event.result) if self._is_shown(event.result) else []
        if isinstance(event, NodeStarted):
            return self._started(event) if self._verbose else []
        match event:
            case NodeProgress() | PoolUse():
                return []
            case NodeStaged():
                return self._staged(event)
            case NodeLogged():
                return self._logged(event)
            case LogLinesDropped(counts=counts):
                self._not_shown += sum(count for level, count in counts.items() if self._shows(level))
                return []
            case NodeRetrying():
                return self._retrying(event)
            case PoolPaused():
                return self._pool_paused(event)
            case WaitingForTarget():
                return [] if self._quiet else [self._paint(waiting_text(event), "notice")]
            case RunNote() | RunWarning():
                return self._said(event)
            case RunStarted():
                return self._run_started(event)
            case RunStopping():
                return self._stopping(event)
            case RunFinished(result=run):
                return self._summary(run)
            case _:
                assert_never(event)

    def _run_started(self, event: RunStarted) -> list[str]:
        plan = event.plan
        self._counter_width = len(str(len(plan.steps)))
        names = [len(step.node.name) for step in plan.steps.values()]
        self._name_width = min(max(names, default=1), 40)
        self._kind_width = max((len(step.node.kind) for step in plan.steps.values()), default=1)
        self._only_audits = all(step.node.kind is NodeKind.AUDIT for step in plan.steps.values())
        if self._quiet:
            return []
        kinds = dict.fromkeys(NodeKind, 0)
        for step in plan.steps.values():
            kinds[step.node.kind] += 1
        of_kinds = ", ".join(counted(number, str(kind)) for kind, number in kinds.items() if number)
        if plan.kept is not None:
            return self._resumed(event, plan.kept)
        head = f"{'dry run' if event.dry_run else 'run'} {event.run_id} on target {event.target}: {counted(len(plan.steps), 'node')}"
        return [f"{head} ({of_kinds})" if of_kinds else head]

    def _resumed(self, event: RunStarted, kept: int) -> list[str]:
        steps = event.plan.steps
        head = f"run {event.run_id} goes on, on target {event.target}: "
        lines = [f"{head}{counted(len(steps), 'node')} of {len(steps) + kept:,} run again, {kept:,} keep what they did"]
        shown = list(steps.values()) if self._verbose else list(steps.values())[:_WHOLE_FAILURES]
        lines += [
            self._under(
                f"{'again':<11} {step.node.kind:<{self._kind_width}} {step.node.name:<{self._name_width}}  {step.why}"
            )
            for step in shown
        ]
        if len(shown) < len(steps):
            lines.append(self._under(f"... and {len(steps) - len(shown):,} more; `-v` lists them all"))
        return lines

    def _finished(self, result: NodeResult) -> list[str]:
        text = f"{self.progress.finished:>{self._counter_width}}/{self.progress.total}  {self._status_labels[result.status]} "
        text += f"{result.kind:<{self._kind_width}} {result.name:<{self._name_width}}"
        if result.attempt:
            text += f"  {seconds_text(result.duration)}"
        if result.attempt > 1:
            text += f"  attempt {result.attempt}"
        if result.materialized is False:
            text += "  not materialized"
        if result.because_of:
            text += f"  because of {first_few(result.because_of, 3)}"
        elif result.status is Status.WOULD_RUN:
            text += f"  {one_line(result.skip_reason or '', 1_000)}"
        elif result.skip_reason:
            text += f"  {result.skip_mode or 'soft'}: {one_line(result.skip_reason)}"
        if result.kind in _SAY_MORE:
            said = _said(result)
            text += f"  {said}" if said else ""
        if self._verbose and result.waited >= 0.0005:
            text += f"  waited {seconds_text(result.waited)}"
        lines = [text]
        if result.error is not None and not failed_by_verdict(result):
            lines += self._failure(result)
        if result.warnings:
            lines += [self._under(self._warning(warning)) for warning in result.warnings]
        return lines

    def _is_shown(self, result: NodeResult) -> bool:
        """What never ran is told in the summary, by its cause: one failure may block thousands."""
        if self._quiet:
            return result.error is not None or bool(result.warnings) or result.status is Status.WARNED
        if result.kind is NodeKind.AUDIT and result.status is Status.SUCCEEDED:
            # There may be many times as many as models, and nobody looks for those that found nothing.
            return self._verbose or self._only_audits
        return self._verbose or result.attempt > 0 or result.status not in _CASCADES

    def _failure(self, result: NodeResult) -> list[str]:
        assert result.error is not None
        if result.status in FAILURES:
            self._failures += 1
        if self._failures > _WHOLE_FAILURES and not self._verbose:
            place = place_text(result.error)
            return [self._under(f"{place}: {error_text(result.error)}" if place else error_text(result.error))]
        lines = failure_lines(result)
        if result.error.type == NOT_AS_EXPECTED:
            lines = differences_painted(lines, self._paint)
        return [self._under(line) for line in lines]

    def _started(self, event: NodeStarted) -> list[str]:
        again = f"  attempt {event.attempt}" if event.attempt > 1 else ""
        label = self._paint(f"{'started':<11}", "faint")
        return [self._under(f"{label} {event.kind:<{self._kind_width}} {event.name}{again}")]

    def _staged(self, event: NodeStaged) -> list[str]:
        if not self._verbose:
            return []
        label = self._paint(f"{'staged':<11}", "faint")
        kind = event.node.partition(":")[0]
        gates = counted(len(event.gates), "audit")
        return [self._under(f"{label} {kind:<{self._kind_width}} {event.name:<{self._name_width}}  waits for {gates}")]

    def _retrying(self, event: NodeRetrying) -> list[str]:
        if self._quiet:
            return []
        label = self._paint(f"{'retrying':<11}", "notice")
        what = f"attempt {event.attempt} failed: {error_text(event.error)}"
        kind = event.node.partition(":")[0]
        name = f"{event.name:<{self._name_width}}"
        return [self._under(f"{label} {kind:<{self._kind_width}} {name}  in {seconds_text(event.delay)}, {what}")]

    def _pool_paused(self, event: PoolPaused) -> list[str]:
        if self._quiet:
            return []
        label = self._paint(f"{'paused':<11}", "notice")
        return [self._under(f"{label} pool {event.pool} for {seconds_text(event.seconds)}, as {event.name} was told")]

    def _logged(self, event: NodeLogged) -> list[str]:
        if not self._shows(event.level):
            return []
        fields = "".join(f" {one_line(str(name))}={one_line(str(value))}" for name, value in event.fields.items())
        first, *rest = safe_text(event.message).rstrip().split("\n")
        return [
            self._under(f"{event.level:<11} {event.name}: {first}{fields}"),
            *(self._under(f"{'':<11} {line}") for line in rest),
        ]

    def _shows(self, level: str) -> bool:
        """Warnings and above always; everything else, as what is printed, when asked for more."""
        return _LEVELS.get(level.lower(), 20) >= (10 if self._verbose else 30)

    def _stopping(self, event: RunStopping) -> list[str]:
        why = "--fail-fast after a failure" if event.cause == "fail-fast" else event.cause
        text = f"stopping ({why}): nothing new starts"
        running = [node.name for node in self.progress.running.values()]
        if running:
            waits = f"waiting up to {seconds_text(event.grace)} for {counted(len(running), 'node')} to end"
            text += f"; {waits}: {first_few(running)}"
        return [self._paint(text, "notice")]

    def _summary(self, run: RunResult) -> list[str]:
        if self._quiet:
            return summary_lines(run, paint=self._paint, brief=True)
        if self._not_shown:
            lines = counted(self._not_shown, "log line")
            self._warnings[f"{lines} came faster than could be shown here: see `sqb show NODE --logs`"] = None
        warnings = tuple(dict.fromkeys([*self._warnings, *run.warnings]))
        return ["", *summary_lines(run, warnings, paint=self._paint)]

    def _said(self, event: RunNote | RunWarning) -> list[str]:
        if isinstance(event, RunWarning):
            self._warnings[event.message] = None
        if self._quiet:
            return []
        if isinstance(event, RunWarning):
            return [self._warning(event.message)]
        return [self._paint(one_line(event.message, 1_000), "faint")]

    def _warning(self, message: str) -> str:
        return f"{self._paint('warning', 'notice')}: {one_line(message, 1_000)}"

    def _under(self, line: str) -> str:
        return f"{'':<{self._counter_width * 2 + 3}}{line}".rstrip()


def _words(status: Status) -> str:
    return status.value.replace("_", " ")


def _said(result: NodeResult) -> str:
    match result.kind:
        case NodeKind.CHECK:
            return said_text(result)
        case NodeKind.TEST:
            return models_run(result)
        case _:
            return loaded_text(result)
