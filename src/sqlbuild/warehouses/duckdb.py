"""DuckDB as a warehouse."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anyio

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.settings import Connection as ConnectionSettings
from sqlbuild.drivers.duckdb import DuckDBDatabase
from sqlbuild.drivers.duckdb_errors import WrongRelationKind
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import CommitMarker, Connection, Parameters
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.duckdb_commits import mark

CLEAN_UP_SECONDS = 5.0

_RELATIONS = """
SELECT CASE WHEN database_name = current_database() THEN '' ELSE lower(database_name) END, lower(schema_name), lower(name)
FROM (
    SELECT database_name, schema_name, table_name AS name FROM duckdb_tables() WHERE NOT internal AND NOT temporary
    UNION ALL
    SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal AND NOT temporary
)
"""
_SCHEMAS = "SELECT lower(schema_name) FROM duckdb_schemas() WHERE database_name = current_database()"


class DuckDBWarehouse:
    """`sqlbuild.interfaces.warehouse.Warehouse` on a database file or `:memory:`.

    `connection.options`: `database` (a path), `settings` (DuckDB's own, by name), `extensions` (installed where
    missing, then loaded), `read_only`. Relative file names in SQL are relative to `project_root`.
    """

    def __init__(self, connection: ConnectionSettings, project_root: str) -> None:
        options: Mapping[str, Any] = connection.options
        self._database = DuckDBDatabase(
            str(options["database"]),
            project_root,
            settings=options.get("settings", {}),
            extensions=options.get("extensions", ()),
        )
        self._always_read_only = bool(options.get("read_only", False))

    def exists(self) -> bool:
        return self._database.exists()

    async def open(self, *, read_only: bool = False) -> None:
        await self._database.open(read_only=read_only or self._always_read_only)

    async def close(self) -> None:
        await self._database.close()

    def connect(self) -> Connection:
        return self._database.connect()

    async def relations(self) -> frozenset[Relation]:
        return frozenset(Relation(*parts) for parts in await self._rows(_RELATIONS))

    async def create_schemas(self, schemas: Iterable[str]) -> None:
        existing = {name for (name,) in await self._rows(_SCHEMAS)}
        missing = sorted({schema for schema in schemas if schema.lower() not in existing})
        if missing:
            # One after the other: DuckDB refuses schemas that are created at the same time.
            await self._execute_together([f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(name)}" for name in missing])

    async def build_view(
        self, connection: Connection, relation: Relation, sql: str, *, commit: CommitMarker | None = None
    ) -> None:
        name = quote_relation(relation)
        marked = _marked(relation, commit)
        try:
            await connection.execute_together([(f"CREATE OR REPLACE VIEW {name} AS {sql}", None), *marked])
        except WrongRelationKind:
            replaced: list[tuple[str, Parameters]] = [
                (f"DROP TABLE {name}", None),
                (f"CREATE VIEW {name} AS {sql}", None),
            ]
            await connection.execute_together([*replaced, *marked])
        failpoint("model.swapped")

    async def build_table(
        self, connection: Connection, relation: Relation, sql: str, *, staging: str, commit: CommitMarker | None = None
    ) -> None:
        stage = quote_relation(Relation(relation.database, relation.schema, staging))
        try:
            # Outside of the swap's transaction, which is then too short to collide with others. The query starts on
            # the statement's first line, so that the lines in DuckDB's messages are the query's own.
            await connection.execute(f"CREATE OR REPLACE TABLE {stage} AS {sql}")
            failpoint("model.staged")
            await _swap(connection, stage, relation, _marked(relation, commit))
            failpoint("model.swapped")
        except BaseException:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True), contextlib.suppress(WarehouseError):
                await connection.execute(f"DROP TABLE IF EXISTS {stage}")
            raise

    async def append_json(self, connection: Connection, relation: Relation, rows: Sequence[str]) -> None:
        name = quote_relation(relation)
        described = await connection.query(f"DESCRIBE {name}")
        types = {str(column): str(type_) for column, type_, *_ in await described.fetch()}
        # Read as text and then cast: from_json makes NULL of a value that does not fit its type, a cast fails.
        structure = json.dumps(dict.fromkeys(types, "VARCHAR")).replace("'", "''")
        columns = ", ".join(quote_identifier(column) for column in types)
        casts = ", ".join(f"CAST(r.{quote_identifier(column)} AS {type_})" for column, type_ in types.items())
        await connection.execute(
            # One text a row: DuckDB reads a single text with all of them at a fourth of the speed.
            f"INSERT INTO {name} ({columns}) SELECT {casts} "
            f"FROM (SELECT from_json(row_text, '{structure}') AS r FROM (SELECT unnest(?::VARCHAR[]) AS row_text))",
            [list(rows)],
        )

    async def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            return await (await connection.query(sql)).fetch()
        finally:
            await connection.close()

    async def _execute_together(self, statements: Iterable[str]) -> None:
        connection = self.connect()
        try:
            await connection.execute_together([(sql, None) for sql in statements])
        finally:
            await connection.close()


def _marked(relation: Relation, commit: CommitMarker | None) -> list[tuple[str, Parameters]]:
    """Nothing if the marker stands in another database: one transaction writes to one."""
    if commit is None or relation.database.lower() != commit.relation.database.lower():
        return []
    return [mark(commit)]


async def _swap(connection: Connection, stage: str, relation: Relation, marked: list[tuple[str, Parameters]]) -> None:
    name = quote_relation(relation)
    rename = f"ALTER TABLE {stage} RENAME TO {quote_identifier(relation.name)}"
    try:
        await connection.execute_together([(f"DROP TABLE IF EXISTS {name}", None), (rename, None), *marked])
    except WrongRelationKind:
        await connection.execute_together([(f"DROP VIEW {name}", None), (rename, None), *marked])
