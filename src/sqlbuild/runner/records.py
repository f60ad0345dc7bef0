"""What is written down of nodes: one `NodeResult` for each that ended, with the facts of its attempts."""

from __future__ import annotations

import dataclasses
from typing import assert_never

from sqlbuild.domain.ids import PYTHON_KINDS, NodeId, NodeKind
from sqlbuild.domain.masked_records import masked_error
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import SUCCESSES, ErrorFacts, NodeResult, Status
from sqlbuild.errors import NodeError
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.node_logs import NodeLogs
from sqlbuild.runner.attempts import Attempt, History
from sqlbuild.runner.blocked_loop import blocks_text
from sqlbuild.runner.error_facts import describe_error
from sqlbuild.runner.outcomes import NOTHING_RETURNED, Cancelled, Checked, Returned, SkippedItself, WouldRun

Ended = Returned | SkippedItself | Checked | WouldRun | Cancelled


class Records:
    """`history` is of nodes that were, or still are, to be tried again."""

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        root: str,
        clock: Clock,
        logs: NodeLogs | None = None,
        masker: Masker | None = None,
    ) -> None:
        self._steps = plan.steps
        self._run_id = run_id
        self._root = root
        # Looked up once, as they are called for every node.
        self._now, self._monotonic = clock.now, clock.monotonic
        self._logs = logs
        self._masker = masker
        self.history: dict[NodeId, History] = {}

    def remember_failure(self, attempt: Attempt, error: ErrorFacts) -> None:
        """Of an attempt after which the node is tried again."""
        history = attempt.history
        if history is None:
            history = History(first_started=attempt.started, waited=attempt.waited)
            self.history[attempt.node.id] = history
        history.errors.append(error)

    def of_attempt(self, attempt: Attempt, status: Status, **facts: object) -> NodeResult:
        """How a node ended with an attempt that did begin."""
        step, node = attempt.step, attempt.node
        result = NodeResult(self._run_id, node.id, node.kind, node.name, status, attempt.number)
        result.started_at = attempt.started_at
        result.finished_at = self._now()
        result.duration = self._monotonic() - attempt.started
        result.waited = attempt.waited
        result.fingerprint = step.fingerprint_to_store()
        if attempt.history is not None:
            result.retried = tuple(attempt.history.errors)
        for name, value in facts.items():
            setattr(result, name, value)
        if attempt.blocks is not None:
            result.warnings = (*result.warnings, *blocks_text(attempt))
        return result

    def of_outcome(self, attempt: Attempt, outcome: Ended) -> NodeResult:
        """How a node ended of which nothing is tried again."""
        match outcome:
            case Returned():
                result = self.of_attempt(attempt, Status.SUCCEEDED)
                if outcome is not NOTHING_RETURNED:
                    result.payload, result.metadata = outcome.payload, outcome.metadata
                    result.materialized = outcome.materialized
                    result.warnings = (*outcome.warnings, *result.warnings)
                attempt.add_exports(result)
                return result
            case SkippedItself(reason, mode, metadata):
                skip = {"metadata": metadata, "skip_reason": reason, "skip_mode": mode}
                return self.of_attempt(attempt, Status.SKIPPED, **skip)
            case Checked(status, payload, metadata, wrong):
                said = {"payload": payload, "metadata": metadata, "error": wrong, "log": self.log_of(attempt)}
                result = self.of_attempt(attempt, status, **said)
                if status in SUCCESSES:
                    attempt.add_exports(result)
                return result
            case WouldRun(why):
                return self.of_node(attempt.node.id, Status.WOULD_RUN, skip_reason=why)
            case Cancelled():
                return self.of_attempt(attempt, Status.CANCELLED)
            case _:
                assert_never(outcome)

    def of_node(self, node: NodeId, status: Status, **facts: object) -> NodeResult:
        step = self._steps[node]
        compiled = step.node
        history = self.history.get(node)
        return NodeResult(
            run_id=self._run_id,
            node_id=node,
            kind=compiled.kind,
            name=compiled.name,
            status=status,
            finished_at=self._now(),
            waited=0.0 if history is None else history.waited,
            fingerprint=step.fingerprint_to_store(),
            **facts,  # type: ignore[arg-type]
        )

    def describe(self, attempt: Attempt, error: BaseException, told: ErrorFacts | None = None) -> ErrorFacts:
        """`told` are facts from where the node ran, if that was another process."""
        facts = told or describe_error(error, self._root)
        if self._masker is not None:
            facts = masked_error(facts, self._masker)
        place = attempt.node.place
        if attempt.node.kind not in PYTHON_KINDS:
            if facts.path:
                # Code of the author's, in a hook, has raised it.
                return facts
            path, line = (error.path, error.line) if isinstance(error, NodeError) else (None, None)
            if attempt.node.kind is NodeKind.AUDIT:
                line = place.line
            return dataclasses.replace(facts, traceback="", path=path or place.path, line=line)
        if not facts.path:
            # The node returned; what it returned is what is wrong.
            return dataclasses.replace(facts, path=place.path, line=place.line)
        return facts

    def log_failure(self, attempt: Attempt, error: ErrorFacts, *, retry_in: float | None = None) -> str | None:
        """Write the failure of a Python node into its log, whose path comes back; models have none."""
        if self._logs is None or attempt.session is None:
            return None
        return self._logs.failed(attempt.node.name, attempt.number, self._now(), error, retry_in)

    def log_of(self, attempt: Attempt) -> str | None:
        """Of a Python node."""
        return (
            None
            if self._logs is None or attempt.session is None
            else self._logs.path(attempt.node.name, attempt.number)
        )
