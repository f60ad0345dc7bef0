"""How text, durations and counts are written for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from sqlbuild.domain.pattern import pattern

if TYPE_CHECKING:
    from sqlbuild.domain.events import WaitingForTarget

MESSAGE_LIMIT = 4_000
"""Characters of one error message or traceback that are shown."""

Style = Literal["good", "bad", "notice", "faint", "strong"]
Paint = Callable[[str, Style], str]
"""Adds colour to a text, or returns it as it is."""

_ANSI: dict[Style, str] = {"good": "32", "bad": "31", "notice": "33", "faint": "2", "strong": "1"}

# C0 without tab and newline, DEL, C1, line separators, direction overrides and lone surrogates: what could move the
# cursor, forge a line or change how the rest is read.
_UNSAFE = pattern("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str, style: Style) -> str:  # noqa: ARG001 -- the signature of Paint
    """A `Paint` without colour."""
    return text


def coloured(text: str, style: Style) -> str:
    """A `Paint` for terminals."""
    return f"\x1b[{_ANSI[style]}m{text}\x1b[0m"


def safe_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """`text` without control characters but newlines and tabs, at most about `limit` characters of it.

    What is left out is taken from the middle, because the start names the error and the end says what happened last.
    """
    if len(text) > limit:
        tail = limit // 4
        left_out = len(text) - limit
        text = f"{text[: limit - tail]}\n[... {left_out:,} characters left out ...]\n{text[-tail:]}"
    if text.isprintable():
        return text
    return _UNSAFE.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 200) -> str:
    """`text` on one line of at most `limit` characters, without control characters."""
    if len(text) <= limit and text.isprintable():
        return text
    joined = " ".join(text[: limit * 2].split())
    # The escapes are longer than what they stand for, so cut after escaping.
    escaped = _UNSAFE.sub(_escaped, joined)
    shortened = len(escaped) > limit or len(text) > limit * 2
    return f"{escaped[: limit - 3]}..." if shortened else escaped


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def seconds_text(seconds: float) -> str:
    """A duration in the unit that fits: `8 ms`, `1.24 s`, `3 m 05 s`, `2 h 10 m`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} m"


def tenths_text(seconds: float) -> str:
    """A duration that is shown while it grows: `2.5 s`, `3 m 05 s`; below zero counts as zero."""
    return f"{max(seconds, 0.0):.1f} s" if seconds < 59.95 else seconds_text(seconds)


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 node`, `2,000 nodes`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def waiting_text(event: WaitingForTarget) -> str:
    """What a command says while another process holds its target."""
    if event.waited < 1:
        return f"waiting up to {event.timeout:g} s: {one_line(event.holder, 1_000)}"
    return f"still waiting ({event.waited:.0f} of {event.timeout:g} s): {one_line(event.holder, 1_000)}"


def first_few(names: Sequence[str], limit: int = 5) -> str:
    """The names joined by commas; beyond `limit` only how many more there are."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"
