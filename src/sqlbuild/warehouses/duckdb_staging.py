"""DuckDB as `sqlbuild.interfaces.staging.Staging`."""

from __future__ import annotations

from collections.abc import Iterator

from sqlbuild.domain.ids import Relation
from sqlbuild.drivers.duckdb_errors import WrongRelationKind
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection, Parameters
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.duckdb import index_statements
from sqlbuild.warehouses.duckdb_commits import mark


class DuckDBStaging:
    async def stage_table(
        self,
        connection: Connection,
        staging: Relation,
        sql: str,
        *,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        # The query starts on the statement's first line, so that the lines in DuckDB's messages are the query's own.
        await connection.execute(f"CREATE OR REPLACE TABLE {quote_relation(staging)} AS {sql}")
        failpoint("gate.staged")

    async def promote_table(
        self,
        connection: Connection,
        staging: Relation,
        relation: Relation,
        *,
        commit: CommitMarker | None = None,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        try:
            await connection.execute_together(_promote(staging, relation, commit, order, "TABLE"))
        except WrongRelationKind:
            await connection.execute_together(_promote(staging, relation, commit, order, "VIEW"))
        failpoint("model.swapped")

    async def stage_view(self, connection: Connection, staging: Relation, sql: str) -> None:
        await connection.execute(f"CREATE OR REPLACE VIEW {quote_relation(staging)} AS {sql}")
        failpoint("gate.staged")

    async def promote_view(
        self,
        connection: Connection,
        staging: Relation,
        relation: Relation,
        sql: str,
        *,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        name, drop = quote_relation(relation), f"DROP VIEW {quote_relation(staging)}"
        try:
            await _together(connection, f"CREATE OR REPLACE VIEW {name} AS {sql}", drop)
        except WrongRelationKind:
            await _together(connection, f"DROP TABLE {name}", f"CREATE VIEW {name} AS {sql}", drop)
        failpoint("model.swapped")


async def _together(connection: Connection, *statements: str) -> None:
    await connection.execute_together([(statement, None) for statement in statements])


def _promote(
    staging: Relation, relation: Relation, commit: CommitMarker | None, order: BuildOrder, replaced: str
) -> Iterator[tuple[str, Parameters]]:
    yield f"DROP {replaced} IF EXISTS {quote_relation(relation)}", None
    yield f"ALTER TABLE {quote_relation(staging)} RENAME TO {quote_identifier(relation.name)}", None
    yield from index_statements(relation, order)
    # One transaction writes to one database.
    if commit is not None and relation.database.lower() == commit.relation.database.lower():
        yield mark(commit)
