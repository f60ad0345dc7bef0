"""Why a node runs, and what stands behind an upstream that does not run."""

from __future__ import annotations

from typing import assert_never

from sqlbuild.domain.graph import FingerprintPart, Node
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.plans import Reason
from sqlbuild.domain.results import FAILURES, SUCCESSES, Status


def explain(node: Node, past: Past, *, required: bool = False, newer: NodeId | None = None) -> tuple[Reason, str]:
    """Why `node` would run, seen against its last success, and the same in words.

    For example `code and upstream changed since run R`; `required` puts that word in front. A change of the code
    comes before one of the settings, that before one of an upstream. `newer` is an upstream that has succeeded since.
    """
    stored = past.nodes.get(node.id)
    reason = _reason(node, past, stored)
    words = _words(node, stored, reason)
    if reason is Reason.SELECTED and newer is not None and stored is not None:
        reason, words = Reason.UPSTREAM_CHANGED, f"{newer} was built since run {stored.last_success_run_id}"
    return reason, f"required: {words}" if required else words


def explain_use(upstream: Node, past: PastNode | None, reader: str) -> str | None:
    """What to warn of when `reader` uses what `upstream` left behind, or None if that is what its code gives now.

    For example `asset:a uses the result of run R of model:x, code changed since`.
    """
    if upstream.kind is NodeKind.SOURCE:
        return None
    if past is None or past.last_success_run_id is None:
        remark = f", {_ended(past.last_status)} in run {past.last_run_id}" if past is not None else ""
        return f"{reader} uses {upstream.id} as it stands, no success of it is stored{remark}"
    remarks: list[str] = []
    if changed := upstream.fingerprint.changed_parts(past.last_success_fingerprint):
        remarks.append(f"{_and(_named(upstream, changed))} changed since")
    if past.last_status not in SUCCESSES:
        remarks.append(f"{_ended(past.last_status)} in run {past.last_run_id}")
    if not remarks:
        return None
    return f"{reader} uses the result of run {past.last_success_run_id} of {upstream.id}, {', '.join(remarks)}"


def _reason(node: Node, past: Past, stored: PastNode | None) -> Reason:
    if node.kind is NodeKind.SOURCE:
        return Reason.SELECTED
    if stored is None or stored.last_success_run_id is None:
        return Reason.LAST_FAILED if stored is not None and stored.last_status in FAILURES else Reason.FIRST_RUN
    # Where a success is stored the state tables stand, so a past without relations does not know them.
    if past.relations and past.lacks(node):
        return Reason.RELATION_MISSING
    if changed := node.fingerprint.changed_parts(stored.last_success_fingerprint):
        return _reason_for_change(changed[0])
    return Reason.LAST_FAILED if stored.last_status in FAILURES else Reason.SELECTED


def _words(node: Node, past: PastNode | None, reason: Reason) -> str:
    run = past.last_success_run_id if past is not None else None
    match reason:
        case Reason.FIRST_RUN:
            never = "never run" if node.kind is NodeKind.TEST else "never built"
            return never if past is None else f"{never}, {_ended(past.last_status)} in run {past.last_run_id}"
        case Reason.RELATION_MISSING:
            return f"built in run {run}, but {node.relation} is missing now"
        case Reason.CODE_CHANGED | Reason.SETTINGS_CHANGED | Reason.UPSTREAM_CHANGED:
            changed = node.fingerprint.changed_parts(past.last_success_fingerprint if past is not None else None)
            return f"{_and(_named(node, changed))} changed since run {run}"
        case Reason.LAST_FAILED:
            return f"{_ended(past.last_status)} in run {past.last_run_id}" if past is not None else "failed"
        case Reason.RESUMED:
            return "runs again"
        case Reason.SELECTED:
            return f"selected, nothing changed since run {run}" if run is not None else "selected"
        case _:
            assert_never(reason)


def _reason_for_change(part: FingerprintPart) -> Reason:
    match part:
        case "code":
            return Reason.CODE_CHANGED
        case "settings":
            return Reason.SETTINGS_CHANGED
        case "upstream":
            return Reason.UPSTREAM_CHANGED
        case _:
            assert_never(part)


def _ended(status: Status) -> str:
    match status:
        case Status.SUCCEEDED:
            return "succeeded"
        case Status.FAILED:
            return "failed"
        case Status.TIMED_OUT:
            return "timed out"
        case Status.SKIPPED:
            return "skipped"
        case Status.BLOCKED:
            return "blocked"
        case Status.CANCELLED:
            return "cancelled"
        case Status.NOT_STARTED:
            return "not started"
        case Status.UNKNOWN:
            return "end unknown"
        case Status.WARNED:
            return "warned"
        case Status.WOULD_RUN:
            return "would run"
        case _:
            assert_never(status)


def _named(node: Node, changed: tuple[FingerprintPart, ...]) -> tuple[str, ...]:
    """What a person calls the parts of a node."""
    return tuple("file" if part == "code" and node.kind is NodeKind.SEED else part for part in changed)


def _and(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
