"""A table or view takes the place of what is called so, in one transaction: readers see the old one or the new one."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_commits import mark

_KIND = """
SELECT c.relkind::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2
"""
_WORDS = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}


async def swapped_table(
    connection: PostgresConnection, relation: Relation, sql: str, commit: CommitMarker | None
) -> None:
    """Build a table of the query's rows and put it in the place of whatever is called `relation`."""
    staging = Relation(relation.database, relation.schema, staging_name(relation.name))
    create = f"CREATE TABLE {quote_relation(staging)} AS {sql}"

    async def swap(raw: Any) -> None:
        async with raw.transaction():
            with translated(create):
                await raw.execute(create)
            failpoint("model.staged")
            await _drop(raw, relation)
            await raw.execute(f"ALTER TABLE {quote_relation(staging)} RENAME TO {quote_identifier(relation.name)}")
            # One transaction writes to one database.
            if commit is not None and relation.database.lower() == commit.relation.database.lower():
                statement, values = mark(commit)
                await raw.execute(statement, *values)
            failpoint("warehouse.committing")
        failpoint("model.swapped")

    await connection.run(swap)


async def swapped_view(connection: PostgresConnection, relation: Relation, sql: str) -> None:
    """Put a view in the place of whatever is called `relation`."""
    create = f"CREATE VIEW {quote_relation(relation)} AS {sql}"

    async def swap(raw: Any) -> None:
        async with raw.transaction():
            await _drop(raw, relation)
            with translated(create):
                await raw.execute(create)
        failpoint("model.swapped")

    await connection.run(swap)


def staging_name(name: str) -> str:
    """Not longer than PostgreSQL's 63 bytes, whatever the name."""
    return f"_sqb_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


async def _drop(raw: Any, relation: Relation) -> None:
    kind = await raw.fetchval(_KIND, relation.schema, relation.name)
    if kind is None:
        return
    word = _WORDS.get(kind)
    if word is None:
        raise WarehouseError(f"{relation} exists and is neither a table nor a view")
    await raw.execute(f"DROP {word} {quote_relation(relation)}")
