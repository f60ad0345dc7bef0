"""PostgreSQL as a warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.settings import Connection as ConnectionSettings
from sqlbuild.drivers.postgres import PostgresConnection, PostgresServer
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection, Extent, Parameters
from sqlbuild.sql.leaves_nothing import leaves_nothing
from sqlbuild.sql.placeholders import numbered_parameters
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_address import check_files, lock_seconds, server_address
from sqlbuild.warehouses.postgres_copying import QUERY_TEXT
from sqlbuild.warehouses.postgres_lock import key_of
from sqlbuild.warehouses.postgres_orphans import end_orphans
from sqlbuild.warehouses.postgres_swap import Swapping, swapped_table, swapped_view

_RELATIONS = """
SELECT '', lower(n.nspname), lower(c.relname)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
"""
_TABLE_VERSION = """
SELECT c.relfilenode, pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ? AND c.relname = ? AND c.relkind = 'r'
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace"


class PostgresWarehouse:
    """`sqlbuild.interfaces.warehouse.Warehouse` in a database of a server; see `server_address` for the options.

    `target_schema` is the schema of the target whose lock is held while it is open for writing. Without one, what dead
    runs have left at work is not ended.
    """

    def __init__(self, connection: ConnectionSettings, target_schema: str | None = None) -> None:
        self._server = PostgresServer(server_address(connection), numbered_parameters, QUERY_TEXT, leaves_nothing)
        self._settings = connection
        self._target_schema = target_schema
        self._swapping = Swapping(connect=self.connect, lock_seconds=lock_seconds(connection))
        self._read_only = False

    def exists(self) -> bool:
        return True

    async def open(self, *, read_only: bool = False) -> None:
        self._read_only = read_only
        check_files(self._settings)
        share = None if self._target_schema is None or read_only else key_of(self._target_schema)
        await self._server.open(read_only=read_only, share=share)
        if share is not None:
            try:
                await end_orphans(self.connect, share)
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        await self._server.close()

    def connect(self) -> Connection:
        return self._server.connect()

    async def relations(self) -> frozenset[Relation]:
        return frozenset(Relation(*parts) for parts in await self._rows(_RELATIONS))

    async def table_version(self, relation: Relation) -> str | None:
        """What the server's statistics count of rows that came, changed and went, some seconds late, and the table's file."""
        rows = await self._rows(_TABLE_VERSION, [relation.schema, relation.name])
        return "/".join(map(str, rows[0])) if rows else None

    async def create_schemas(self, schemas: Iterable[str]) -> None:
        existing = {name for (name,) in await self._rows(_SCHEMAS)}
        missing = sorted(set(schemas) - existing)
        if missing:
            connection = self.connect()
            try:
                await connection.execute_together(
                    [(f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(name)}", None) for name in missing]
                )
            finally:
                await connection.close()

    async def build_view(
        self, connection: Connection, relation: Relation, sql: str, *, order: BuildOrder = PLAIN_BUILD
    ) -> None:
        await swapped_view(_postgres(connection), relation, sql, order, self._swapping)

    async def build_table(
        self,
        connection: Connection,
        relation: Relation,
        sql: str,
        *,
        commit: CommitMarker | None = None,
        order: BuildOrder = PLAIN_BUILD,
    ) -> None:
        await swapped_table(_postgres(connection), relation, sql, commit, order, self._swapping)

    async def append_json(self, connection: Connection, relation: Relation, rows: Sequence[str]) -> None:
        name = quote_relation(relation)
        # A text cannot hold the character 0 in PostgreSQL.
        array = f"[{','.join(rows)}]".replace("\\u0000", "\\ufffd")
        await connection.execute(f"INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, ?)", [array])

    async def _rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            return await (await connection.query(sql, parameters, extent=Extent.WHOLE)).fetch()
        finally:
            await connection.close()


def _postgres(connection: Connection) -> PostgresConnection:
    assert isinstance(connection, PostgresConnection)
    return connection
