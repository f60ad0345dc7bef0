"""Rows of `_sqlbuild_commits`, which stand in the transaction that they tell of."""

from __future__ import annotations

import datetime

from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.sql.rendering import quote_relation


def mark(commit: CommitMarker) -> tuple[str, list[object]]:
    """The statement that writes a marker with the present time, and its parameters."""
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return (
        f"INSERT INTO {quote_relation(commit.relation)} (run_id, node_id, part, attempt, committed_at) "
        "VALUES (?, ?, ?, ?, ?)",
        [commit.run_id, commit.node, commit.part, commit.attempt, now],
    )
