"""Rows of `_sqlbuild_commits`, which stand in the transaction that they tell of."""

from __future__ import annotations

from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.sql.rendering import quote_relation


def mark(commit: CommitMarker) -> tuple[str, tuple[object, ...]]:
    """The statement that writes a marker with the present time, and its parameters."""
    return (
        f"INSERT INTO {quote_relation(commit.relation)} (run_id, node_id, part, attempt, committed_at) "
        "VALUES ($1, $2, $3, $4, timezone('UTC', clock_timestamp()))",
        (commit.run_id, str(commit.node), commit.part, commit.attempt),
    )
