"""What a check or an audit said, as it is kept in its result: the payload is `{"verdict": ..., "message": ...}`."""

from __future__ import annotations

import json

from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import CheckResult, NodeResult, Verdict

_LOOKING = frozenset({NodeKind.CHECK, NodeKind.AUDIT})
NOT_PASSED = "CheckFailed"
"""The type of the error of a check that failed by its verdict, not by an exception."""


def said_by(found: CheckResult) -> dict[str, object]:
    """The payload of its result."""
    return {"verdict": found.verdict.value, "message": found.message}


def verdict_of(result: NodeResult) -> Verdict | None:
    """None for what is neither check nor audit, and for one that gave no verdict: it raised, was skipped or never ran."""
    verdict = _said(result).get("verdict")
    return next((known for known in Verdict if known == verdict), None)


def message_of(result: NodeResult) -> str | None:
    """What a check or audit said when it gave its verdict."""
    message = _said(result).get("message")
    return message if isinstance(message, str) else None


def failed_by_verdict(result: NodeResult) -> bool:
    """Whether the error of a result only repeats what a check has said."""
    return result.kind is NodeKind.CHECK and result.error is not None and result.error.type == NOT_PASSED


def _said(result: NodeResult) -> dict[str, object]:
    if result.kind not in _LOOKING or result.payload is None:
        return {}
    said = json.loads(result.payload)
    return said if isinstance(said, dict) else {}
