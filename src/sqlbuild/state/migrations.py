"""The versions of the state tables, and how a target of an earlier one comes to the present one.

A new version is a new entry at the end of `MIGRATIONS`, and the same change in what `warehouse_tables` creates; what was
written by the first one is in tests/fixtures/first_schema.sql and must stay readable for ever. Statements are such
as every warehouse understands, and say IF NOT EXISTS where a version that was never released had a thing already.
"""

from __future__ import annotations

from collections.abc import Sequence

MIGRATIONS: Sequence[tuple[int, Sequence[str]]] = (
    (
        2,
        (
            "ALTER TABLE {results} ADD COLUMN IF NOT EXISTS exports VARCHAR",
            "CREATE TABLE IF NOT EXISTS {commits} "
            "(run_id VARCHAR, node_id VARCHAR, part VARCHAR, committed_at TIMESTAMP)",
            "ALTER TABLE {commits} ADD COLUMN IF NOT EXISTS attempt INTEGER",
        ),
    ),
    (
        3,
        (
            "CREATE TABLE IF NOT EXISTS {fingerprints} "
            "(node_id VARCHAR, code VARCHAR, sql VARCHAR, stored_at TIMESTAMP)",
            "CREATE TABLE IF NOT EXISTS {freshness} (node_id VARCHAR, data_version VARCHAR, stored_at TIMESTAMP)",
        ),
    ),
)
"""The version that the statements lead to, from the one before; `{results}`, `{runs}`, `{commits}`, `{fingerprints}` and
`{freshness}` are the quoted names of the tables."""

SCHEMA_VERSION = MIGRATIONS[-1][0]


def migrations_from(version: int) -> Sequence[tuple[int, Sequence[str]]]:
    """Those that tables of `version` lack."""
    return [(leads_to, statements) for leads_to, statements in MIGRATIONS if leads_to > version]
