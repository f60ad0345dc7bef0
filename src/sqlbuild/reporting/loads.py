"""What a loader or a seed has done, on one line. Pure."""

from __future__ import annotations

import json

from sqlbuild.domain.results import NodeResult
from sqlbuild.reporting.wording import counted, first_few


def loaded_text(result: NodeResult) -> str:
    """How many rows, and what became of the table's columns; empty if the loader gives metadata of its own."""
    facts = json.loads(result.metadata) if result.metadata else None
    if not isinstance(facts, dict) or not isinstance(facts.get("rows"), int) or "write_strategy" not in facts:
        return ""
    text = counted(facts["rows"], "row")
    for key, words in (("added_columns", "new columns"), ("widened_columns", "wider columns")):
        columns = facts.get(key)
        if isinstance(columns, list) and columns:
            text += f", {words}: {first_few([str(column) for column in columns], 3)}"
    return text
