"""What a unit test has run, on one line. Pure."""

from __future__ import annotations

import json

from sqlbuild.domain.results import NodeResult
from sqlbuild.reporting.wording import counted


def tested_text(result: NodeResult) -> str:
    """How many models it has run; empty where that is not known."""
    said = json.loads(result.payload) if result.payload is not None else {}
    models = said.get("real_models") if isinstance(said, dict) else None
    return counted(len(models), "real model") if models else ""
