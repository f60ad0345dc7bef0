"""What a unit test has run, and how what it found looks. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlbuild.domain.results import NodeResult
from sqlbuild.reporting.wording import Paint, counted


def models_run(result: NodeResult) -> str:
    """How many models it has run; empty where that is not known."""
    said = json.loads(result.payload) if result.payload is not None else {}
    models = said.get("real_models") if isinstance(said, dict) else None
    return counted(len(models), "real model") if models else ""


def differences_painted(lines: Iterable[str], paint: Paint) -> list[str]:
    """Lines of a failure with colour for what was expected, what came, and the marks below."""
    return [_painted(line, paint) for line in lines]


def _painted(line: str, paint: Paint) -> str:
    text = line.lstrip()
    if text.startswith("- expected  + got") or not text:
        return line
    if text.startswith("- "):
        return paint(line, "bad")
    if text.startswith("+ "):
        return paint(line, "good")
    return paint(line, "notice") if not text.strip("^ ") else line
