"""DuckDB as a warehouse."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.relation_options import index_names
from sqlbuild.domain.settings import Connection as ConnectionSettings
from sqlbuild.drivers.duckdb import DuckDBConnection, DuckDBDatabase
from sqlbuild.drivers.duckdb_blocking import BlockingCursor
from sqlbuild.drivers.duckdb_errors import WrongRelationKind
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection, Parameters
from sqlbuild.sql.index_keys import duckdb_can_make
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.duckdb_commits import mark

_RELATIONS = """
SELECT CASE WHEN database_name = current_database() THEN '' ELSE lower(database_name) END, lower(schema_name), lower(name)
FROM (
    SELECT database_name, schema_name, table_name AS name FROM duckdb_tables() WHERE NOT internal AND NOT temporary
    UNION ALL
    SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal AND NOT temporary
)
"""
_TABLE_VERSION = """
SELECT estimated_size FROM duckdb_tables()
WHERE lower(schema_name) = lower(?) AND lower(table_name) = lower(?)
    AND lower(database_name) = lower(coalesce(nullif(?, ''), current_database()))
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

    async def table_version(self, relation: Relation) -> str | None:
        """How many rows it has: DuckDB keeps nothing that would tell of changed ones."""
        rows = await self._rows(_TABLE_VERSION, [relation.schema, relation.name, relation.database])
        if not rows:
            return None
        return "1 row" if rows[0][0] == 1 else f"{rows[0][0]} rows"

    async def create_schemas(self, schemas: Iterable[str]) -> None:
        existing = {name for (name,) in await self._rows(_SCHEMAS)}
        missing = sorted({schema for schema in schemas if schema.lower() not in existing})
        if missing:
            # One after the other: DuckDB refuses schemas that are created at the same time.
            await self._execute_together([f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(name)}" for name in missing])

    async def build_view(
        self, connection: Connection, relation: Relation, sql: str, *, order: BuildOrder = PLAIN_BUILD
    ) -> None:
        name = quote_relation(relation)
        try:
            await connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sql}")
        except WrongRelationKind:
            await connection.execute_together([(f"DROP TABLE {name}", None), (f"CREATE VIEW {name} AS {sql}", None)])
        failpoint("model.swapped")

    async def build_table(
        self,
        connection: Connection,
        relation: Relation,
        sql: str,
        *,
        commit: CommitMarker | None = None,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        # DuckDB keeps the old table for everybody else until the commit: no table beside it has to be swapped in.
        try:
            await connection.execute_together(_build(relation, sql, commit, order))
        except WrongRelationKind:
            await connection.execute_together(_build(relation, sql, commit, order, instead_of_view=True))
        failpoint("model.swapped")

    async def append_json(self, connection: Connection, relation: Relation, rows: Sequence[str]) -> None:
        assert isinstance(connection, DuckDBConnection)
        # In one go: each way to a thread and back takes as long as the event loop is busy, and the interpreter too.
        await connection.blocking(functools.partial(_append_json, relation=relation, rows=list(rows)))

    async def _rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            return await (await connection.query(sql, parameters)).fetch()
        finally:
            await connection.close()

    async def _execute_together(self, statements: Iterable[str]) -> None:
        connection = self.connect()
        try:
            await connection.execute_together([(sql, None) for sql in statements])
        finally:
            await connection.close()


def _append_json(cursor: BlockingCursor, relation: Relation, rows: list[str]) -> None:
    name = quote_relation(relation)
    types = {str(column): str(type_) for column, type_, *_ in cursor.rows(f"DESCRIBE {name}")}
    # Read as text and then cast: from_json makes NULL of a value that does not fit its type, a cast fails.
    structure = json.dumps(dict.fromkeys(types, "VARCHAR")).replace("'", "''")
    columns = ", ".join(quote_identifier(column) for column in types)
    casts = ", ".join(f"CAST(r.{quote_identifier(column)} AS {type_})" for column, type_ in types.items())
    cursor.execute(
        # One text a row: DuckDB reads a single text with all of them at a fourth of the speed.
        f"INSERT INTO {name} ({columns}) SELECT {casts} "
        f"FROM (SELECT from_json(row_text, '{structure}') AS r FROM (SELECT unnest(?::VARCHAR[]) AS row_text))",
        [rows],
    )


def _build(
    relation: Relation, sql: str, commit: CommitMarker | None, order: BuildOrder, *, instead_of_view: bool = False
) -> Iterator[tuple[str, Parameters]]:
    name = quote_relation(relation)
    if instead_of_view:
        yield f"DROP VIEW {name}", None
    # The query starts on the statement's first line, so that the lines in DuckDB's messages are the query's own.
    yield f"CREATE OR REPLACE TABLE {name} AS {sql}", None
    yield from index_statements(relation, order)
    failpoint("model.staged")
    # One transaction writes to one database.
    if commit is not None and relation.database.lower() == commit.relation.database.lower():
        yield mark(commit)


def index_statements(relation: Relation, order: BuildOrder) -> Iterator[tuple[str, Parameters]]:
    """For a table that has its name: DuckDB renames none that has indexes."""
    name = quote_relation(relation)
    for index_name, index in zip(index_names(relation.name, order.indexes), order.indexes, strict=True):
        if duckdb_can_make(index):
            unique = "UNIQUE INDEX" if index.unique else "INDEX"
            yield f"CREATE {unique} {quote_identifier(index_name)} ON {name} ({', '.join(index.columns)})", None
