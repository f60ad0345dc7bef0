"""What a loader, a seed or an incremental model has done to its table, on one line. Pure."""

from __future__ import annotations

import json

from sqlbuild.domain.results import NodeResult
from sqlbuild.reporting.wording import counted, first_few

_WRITES = frozenset({"write_strategy", "incremental"})
_COLUMNS = {
    "added_columns": "new columns",
    "widened_columns": "wider columns",
    "changed_columns": "other types",
    "dropped_columns": "dropped columns",
}


def loaded_text(result: NodeResult) -> str:
    """How many rows, and what became of the table's columns; empty for other models, and for a loader that gives
    metadata of its own."""
    facts = json.loads(result.metadata) if result.metadata else None
    if not isinstance(facts, dict) or not isinstance(facts.get("rows"), int) or not _WRITES & facts.keys():
        return ""
    if facts.get("nothing"):
        return str(facts["nothing"])
    text = counted(facts["rows"], "row")
    window = facts.get("window")
    if isinstance(window, dict):
        text += f" of {window.get('start')} to {window.get('end')}"
    if isinstance(facts.get("batches"), int):
        text += f" in {counted(facts['batches'], 'batch', 'batches')}"
    for key, words in _COLUMNS.items():
        columns = facts.get(key)
        if isinstance(columns, list) and columns:
            text += f", {words}: {first_few([str(column) for column in columns], 3)}"
    return text
