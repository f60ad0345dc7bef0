"""Results and events without secrets, before anything of them is written or shown. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.events import Event, NodeLogged, NodeProgress, NodeRetrying, RunNote, RunWarning, WaitingForTarget
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.results import ErrorFacts, NodeResult


def mask_result(result: NodeResult, masker: Masker) -> None:
    """In place, so that whoever has the result reads what is stored."""
    if result.payload is not None:
        result.payload = masker.json_text(result.payload)
    if result.metadata is not None:
        result.metadata = masker.json_text(result.metadata)
    if result.error is not None:
        result.error = masked_error(result.error, masker)
    if result.retried:
        result.retried = tuple(masked_error(error, masker) for error in result.retried)
    if result.skip_reason is not None:
        result.skip_reason = masker.text(result.skip_reason)
    if result.warnings:
        result.warnings = tuple(map(masker.text, result.warnings))


def masked_error(error: ErrorFacts, masker: Masker) -> ErrorFacts:
    return dataclasses.replace(
        error,
        type=masker.text(error.type),
        message=masker.text(error.message),
        traceback=masker.text(error.traceback),
        help=masker.text(error.help),
    )


def masked_fields(fields: Mapping[str, object], masker: Masker) -> dict[str, object]:
    """Of a log message: names and values."""
    return {masker.text(name): masker.plain(value) for name, value in fields.items()}


def masked_event(event: Event, masker: Masker) -> Event:
    """The event itself where no secret can be in it; the results in others are masked when they are recorded."""
    match event:
        case NodeLogged(message=message, fields=fields):
            return dataclasses.replace(event, message=masker.text(message), fields=masked_fields(fields, masker))
        case NodeProgress(message=str(message)):
            return dataclasses.replace(event, message=masker.text(message))
        case NodeRetrying(error=error):
            return dataclasses.replace(event, error=masked_error(error, masker))
        case RunNote(message=message) | RunWarning(message=message):
            return dataclasses.replace(event, message=masker.text(message))
        case WaitingForTarget(holder=holder):
            return dataclasses.replace(event, holder=masker.text(holder))
        case _:
            return event
