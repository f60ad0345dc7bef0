"""Checks: what the author's function returns becomes a verdict, and what it raises counts as its severity says."""

from __future__ import annotations

from sqlbuild.domain.check_results import NOT_PASSED, said_by
from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Check, Severity
from sqlbuild.domain.results import CheckResult, ErrorFacts, Status, Verdict
from sqlbuild.errors import NodeError, NodeTimeout, NotReturned
from sqlbuild.runner.outcomes import Checked
from sqlbuild.runner.plain_json import plain_json_text

_RETURN = "return True, False, ctx.pass_(...), ctx.fail(...) or ctx.warn(...)"


def outcome_of_check(check: Check, value: object, max_bytes: int) -> Checked:
    """What a returned value means. Raises NotReturned for None, NodeError for what is no verdict, UnstorableResult."""
    found = value if isinstance(value, CheckResult) else CheckResult(verdict=_verdict(check, value))
    status = _status(found.verdict, check.severity)
    payload = plain_json_text(said_by(found), "what the check said", max_bytes)
    metadata = plain_json_text(found.metadata, "metadata", max_bytes)
    return Checked(status, payload, metadata, _error(check, found) if status is Status.FAILED else None)


def status_of_error(node: Node, error: BaseException) -> Status:
    """How a node ends with its last attempt's error: a check of severity `warn` does not fail the run with it either."""
    if isinstance(node.declaration, Check) and node.declaration.severity is Severity.WARN:
        return Status.WARNED
    return Status.TIMED_OUT if isinstance(error, NodeTimeout) else Status.FAILED


def _verdict(check: Check, value: object) -> Verdict:
    if isinstance(value, bool):
        return Verdict.PASS if value else Verdict.FAIL
    name = check.declared.name
    if value is None:
        raise NotReturned(f"the check {name} returned None, which says nothing", help=_RETURN)
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return Verdict.PASS if value else Verdict.FAIL
    raise NodeError(f"the check {name} returned an object of type {type(value).__qualname__}, no verdict", help=_RETURN)


def _status(verdict: Verdict, severity: Severity) -> Status:
    match verdict:
        case Verdict.PASS:
            return Status.SUCCEEDED
        case Verdict.WARN:
            return Status.WARNED
        case Verdict.FAIL:
            return Status.WARNED if severity is Severity.WARN else Status.FAILED


def _error(check: Check, found: CheckResult) -> ErrorFacts:
    place = check.declared.place
    message = "it returned False" if found.message is None else found.message
    return ErrorFacts(type=NOT_PASSED, message=message, path=place.path, line=place.line)
