"""What a check said, on one line. Pure."""

from __future__ import annotations

from sqlbuild.domain.check_results import failed_by_verdict, message_of
from sqlbuild.domain.results import NodeResult
from sqlbuild.reporting.wording import one_line

_METADATA_LIMIT = 120


def said_text(result: NodeResult) -> str:
    """Its message and its metadata as JSON; empty if it gave neither."""
    message = message_of(result)
    if message is None and failed_by_verdict(result):
        message = result.error.message if result.error is not None else ""
    parts = [one_line(message)] if message else []
    if result.metadata is not None:
        parts.append(one_line(result.metadata, _METADATA_LIMIT))
    return "  ".join(parts)
