"""What has changed in the SQL of a model since it succeeded last."""

from __future__ import annotations

import difflib
from typing import Any

from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Function, Model
from sqlbuild.domain.past import Past
from sqlbuild.domain.record import record

UNKNOWN = "the SQL it was built with is not kept: it was built by an earlier sqlbuild"


@record(frozen=True, slots=True, kw_only=True)
class SqlDiff:
    """`before` is None where it is not kept. Both are queries without the header, with macros expanded."""

    node: Node
    run_id: str
    before: str | None
    after: str

    def lines(self) -> list[str]:
        """A unified diff; lines count from the first one of the query."""
        before = f"{self.node.id}  run {self.run_id}"
        if self.before is None:
            return [f"--- {before}", f"    {UNKNOWN}"]
        after = f"{self.node.id}  {self.node.place.path}"
        return list(difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), before, after, lineterm=""))

    def document(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "before": self.before, "after": self.after, "lines": self.lines()}


def sql_diff(node: Node, before: str | None, past: Past) -> SqlDiff:
    """Of a model or function that succeeded in `past` with other SQL; `before` is that, if it is kept."""
    assert isinstance(node.declaration, Model | Function)
    run_id = past.nodes[node.id].last_success_run_id or ""
    return SqlDiff(node=node, run_id=run_id, before=before, after=node.declaration.sql)
