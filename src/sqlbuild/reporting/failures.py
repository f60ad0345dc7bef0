"""The lines that tell why a node failed. Pure."""

from __future__ import annotations

from sqlbuild.domain.results import ErrorFacts, NodeResult
from sqlbuild.reporting.wording import MESSAGE_LIMIT, one_line, safe_text

_RETRIED_LIMIT = 5


def failure_lines(result: NodeResult) -> list[str]:
    """Place, error, the attempts before the last, the author's traceback and the fix; without indentation."""
    error = result.error
    if error is None:
        return []
    lines = _with_place(error)
    for attempt, retried in list(enumerate(result.retried, 1))[-_RETRIED_LIMIT:]:
        lines.append(f"attempt {attempt} failed too: {error_text(retried)}")
    lines += traceback_lines(error)
    if error.help:
        lines += _prefixed("help: ", safe_text(error.help))
    if result.log is not None:
        lines.append(f"log: {one_line(result.log, 1_000)}")
    return lines


def error_text(error: ErrorFacts, limit: int = 200) -> str:
    """Type and message on one line."""
    return one_line(f"{error.type}: {error.message}" if error.message else error.type, limit)


def place_text(error: ErrorFacts) -> str:
    """`path:line`, or nothing where it is not known."""
    return f"{error.path}:{error.line}" if error.path and error.line is not None else error.path


def traceback_lines(error: ErrorFacts) -> list[str]:
    """The traceback without its last part, which only repeats type and message."""
    text = error.traceback.rstrip()
    text = text.removesuffix(f"{error.type}: {error.message}".rstrip()).removesuffix(error.type).rstrip()
    return safe_text(text, MESSAGE_LIMIT).split("\n") if text else []


def _with_place(error: ErrorFacts) -> list[str]:
    place = place_text(error)
    head = f"{one_line(place)}: {error.type}" if place else error.type
    # An engine's error names its fix at its end, for those who catch it; here the fix has a line of its own.
    message = error.message.removesuffix(f"; help: {error.help}") if error.help else error.message
    return _prefixed(f"{head}: ", safe_text(message)) if message else [head]


def _prefixed(head: str, text: str) -> list[str]:
    first, *rest = text.rstrip().split("\n")
    return [head + first, *(f"  {line}" for line in rest)]
