"""The lasting state of a target: append-only tables beside its data, readable in SQL.

`_sqlbuild_node_results` has one row per node and run, `_sqlbuild_runs` one per run that came to its end, `_sqlbuild_commits`
one per load, table and view that took effect, `_sqlbuild_fingerprints` the SQL of models by the digest of it that is part of
their fingerprints, `_sqlbuild_source_freshness` the versions of data that were seen in sources, `_sqlbuild_meta` the version of this layout. Times are UTC; `stored_at`
orders rows. Newest means latest stored: a node that never started has no time of its own.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import NodeResult, RunResult, Status
from sqlbuild.domain.utc_text import utc_text
from sqlbuild.errors import Problem, ProjectError, WarehouseError
from sqlbuild.interfaces.warehouse import Extent, Parameters, Warehouse
from sqlbuild.sql.rendering import quote_relation
from sqlbuild.state.migrations import SCHEMA_VERSION, migrations_from
from sqlbuild.state.node_result_json import (
    LATER_COLUMNS,
    RESULT_COLUMNS,
    cursor_in,
    dumps,
    result_from_fields,
    storable,
    time_from_text,
)
from sqlbuild.state.statements import StateStatements

_RESULT_NAMES = ", ".join(RESULT_COLUMNS)
_KEYS = ("run_id", "node_id")
_CREATE_RUNS = """
    run_id {key_type}, target VARCHAR, started_at TIMESTAMP, finished_at TIMESTAMP, exit_code INTEGER, stopped_by VARCHAR,
    counts VARCHAR, warnings VARCHAR, stored_at TIMESTAMP
"""

_VERSION_WITH_EXPORTS = 2
_VERSION_WITH_SQL = 3
_VERSION_WITH_FRESHNESS = 3
_CREATE_FRESHNESS = "node_id {key_type}, data_version VARCHAR, stored_at TIMESTAMP"
_CREATE_FINGERPRINTS = "node_id {key_type}, code VARCHAR, sql VARCHAR, stored_at TIMESTAMP"

COMMITS_TABLE = "_sqlbuild_commits"
"""One row for each load, table and view that took effect, written in the very transaction in which it did."""
_CREATE_COMMITS = "run_id {key_type}, node_id {key_type}, part VARCHAR, committed_at TIMESTAMP, attempt INTEGER"

# A result says all that the marker of its attempt can say. A subquery is looked up for each of the few markers; a join
# might read every result there is.
_FORGET_COMMITS = """
DELETE FROM {commits} AS c
WHERE c.part NOT LIKE '% %'
    AND (SELECT max(r.attempt) FROM {results} AS r WHERE r.run_id = c.run_id AND r.node_id = c.node_id) >= c.attempt
"""
# Whoever goes on with a run asks which parts of a model have taken effect, as long as it has not succeeded.
_FORGET_PARTS = """
DELETE FROM {commits} AS c
WHERE c.part LIKE '% %' AND (c.run_id, c.node_id) IN (
    SELECT d.run_id, d.node_id
    FROM (SELECT DISTINCT run_id, node_id FROM {commits} WHERE part LIKE '% %') AS d
    WHERE EXISTS (
        SELECT 1 FROM {results} AS r
        WHERE r.node_id = d.node_id AND r.run_id >= d.run_id AND r.status IN ('succeeded', 'warned')
    )
)
"""


class WarehouseStateStore:
    """`sqlbuild.interfaces.state_store.StateStore` in `schema` of an open warehouse. Raises ProjectError when the
    tables were made by a newer sqlbuild; those of an older one can be read. `now` gives naive UTC times."""

    def __init__(
        self,
        warehouse: Warehouse,
        schema: str,
        database: str = "",
        *,
        statements: StateStatements,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
    ) -> None:
        self._warehouse = warehouse
        self._statements = statements
        self._results = Relation(database, schema, "_sqlbuild_node_results")
        self._runs = Relation(database, schema, "_sqlbuild_runs")
        self._commits = Relation(database, schema, COMMITS_TABLE)
        self._fingerprints = Relation(database, schema, "_sqlbuild_fingerprints")
        self._freshness = Relation(database, schema, "_sqlbuild_source_freshness")
        self._meta = Relation(database, schema, "_sqlbuild_meta")
        self._now = now
        self._last_stored_at: datetime.datetime | None = None
        self._known_version = 0

    async def past(self) -> Past:
        relations = await self._warehouse.relations()
        if not await self._version(relations):
            return Past(relations=relations)
        nodes: dict[NodeId, PastNode] = {}
        last_run_id: str | None = None
        last_stored_at: datetime.datetime | None = None
        for row in await self._rows(self._statements.past.format(**self._quoted)):
            node, status, run_id, stored_at, success_run_id, fingerprint, finished_at, seconds = row
            nodes[NodeId(node)] = PastNode(
                last_status=Status(status),
                last_run_id=run_id,
                last_success_run_id=success_run_id,
                last_success_fingerprint=fingerprint,
                last_success_at=time_from_text(finished_at),
                typical_seconds=seconds,
            )
            if last_stored_at is None or stored_at > last_stored_at:
                last_run_id, last_stored_at = run_id, stored_at
        versions = await self._source_versions()
        return Past(nodes=nodes, relations=relations, last_run_id=last_run_id, source_versions=versions)

    async def _source_versions(self) -> dict[NodeId, str]:
        if await self._version() < _VERSION_WITH_FRESHNESS:
            return {}
        rows = await self._rows(
            f"SELECT node_id, data_version FROM {quote_relation(self._freshness)} ORDER BY stored_at"
        )
        return {NodeId(source): text for source, text in rows}

    async def keep_source_versions(self, versions: Mapping[NodeId, str]) -> None:
        records = [dumps(storable({"node_id": source, "data_version": text})) for source, text in versions.items()]
        if records:
            await self._append(self._freshness, records)

    async def latest_success(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, NodeResult]:
        wanted = list(nodes)
        if not wanted or not await self._version():
            return {}
        sql = self._statements.latest_success.format(names=_RESULT_NAMES, **self._quoted)
        return {result.node_id: result for result in map(_result, await self._rows(sql, [wanted]))}

    async def last_results(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        return await self._newest(node, limit)

    async def last_successes(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        return await self._newest(node, limit, "AND status IN ('succeeded', 'warned') ")

    async def _newest(self, node: NodeId, limit: int, only: str = "") -> tuple[NodeResult, ...]:
        if not await self._version():
            return ()
        sql = (
            f"SELECT {_RESULT_NAMES} FROM {quote_relation(self._results)} "
            f"WHERE node_id = ? {only}ORDER BY stored_at DESC LIMIT ?"
        )
        return tuple(map(_result, await self._rows(sql, [node, limit])))

    async def last_cursor(self, node: NodeId, key: str) -> str | None:
        if await self._version() < _VERSION_WITH_EXPORTS:
            return None
        sql = (
            f"SELECT exports FROM {quote_relation(self._results)} "
            "WHERE node_id = ? AND status IN ('succeeded', 'warned') AND strpos(exports, ?) > 0 "
            "ORDER BY stored_at DESC LIMIT 1"
        )
        rows = await self._rows(sql, [node, f"{json.dumps(key)}:"])
        return cursor_in(rows[0][0], key) if rows else None

    async def keep_sql(self, texts: Mapping[tuple[NodeId, str], str]) -> None:
        if not texts:
            return
        rows = await self._rows(f"SELECT node_id, code FROM {quote_relation(self._fingerprints)}")
        known = {(NodeId(node), code) for node, code in rows}
        records = [
            dumps(storable({"node_id": node, "code": code, "sql": text}))
            for (node, code), text in texts.items()
            if (node, code) not in known
        ]
        if records:
            await self._append(self._fingerprints, records)

    async def sql_of(self, wanted: Iterable[tuple[NodeId, str]]) -> Mapping[tuple[NodeId, str], str]:
        asked = set(wanted)
        if not asked or await self._version() < _VERSION_WITH_SQL:
            return {}
        rows = await self._rows(f"SELECT node_id, code, sql FROM {quote_relation(self._fingerprints)}")
        found = {(NodeId(node), code): text for node, code, text in rows}
        return {key: found[key] for key in asked if key in found}

    async def begin(self) -> tuple[str, ...]:
        version = await self._version()
        if not version:
            await self._create()
            return ()
        tables = self._quoted
        # The first version had no commits.
        parts = f"(SELECT count(*) FROM {tables['commits']} WHERE part LIKE '% %')" if version > 1 else "0"
        ((self._last_stored_at, has_parts),) = await self._rows(
            f"SELECT max(stored_at), {parts} FROM {tables['results']}"
        )
        if version < SCHEMA_VERSION:
            await self._migrate(version)
            return (f"the state in {self._meta.schema} was brought from version {version} to {SCHEMA_VERSION}",)
        forget = [_FORGET_COMMITS, _FORGET_PARTS] if has_parts else [_FORGET_COMMITS]
        await self._execute_together([(statement.format(**tables), None) for statement in forget])
        return ()

    async def _create(self) -> None:
        if not self._results.database:
            await self._warehouse.create_schemas([self._results.schema])
        key_type = self._statements.key_type
        results = ", ".join(
            f"{name} {key_type if name in _KEYS else type_}"
            for name, type_ in {**RESULT_COLUMNS, **LATER_COLUMNS, "stored_at": "TIMESTAMP"}.items()
        )
        tables = self._quoted
        await self._execute_together(
            [
                (f"CREATE TABLE IF NOT EXISTS {tables['results']} ({results})", None),
                (f"CREATE TABLE IF NOT EXISTS {tables['runs']} ({_CREATE_RUNS.format(key_type=key_type)})", None),
                (f"CREATE TABLE IF NOT EXISTS {tables['commits']} ({_CREATE_COMMITS.format(key_type=key_type)})", None),
                (
                    f"CREATE TABLE IF NOT EXISTS {tables['fingerprints']} ({_CREATE_FINGERPRINTS.format(key_type=key_type)})",
                    None,
                ),
                (
                    f"CREATE TABLE IF NOT EXISTS {tables['freshness']} ({_CREATE_FRESHNESS.format(key_type=key_type)})",
                    None,
                ),
                (f"CREATE TABLE IF NOT EXISTS {tables['meta']} (schema_version INTEGER, created_at TIMESTAMP)", None),
                *self._indexes(),
                (f"INSERT INTO {tables['meta']} VALUES ({SCHEMA_VERSION}, ?)", [self._now()]),
            ]
        )

    def _indexes(self) -> list[tuple[str, Parameters]]:
        return [(index.format(**self._quoted), None) for index in self._statements.indexes]

    async def _migrate(self, version: int) -> None:
        """All of it or nothing, so that a process that is killed meanwhile leaves the version it has found."""
        tables, now = self._quoted, self._now()
        together: list[tuple[str, Parameters]] = []
        for leads_to, statements in migrations_from(version):
            together += [(statement.format(**tables), None) for statement in statements]
            together.append((f"INSERT INTO {tables['meta']} VALUES ({leads_to}, ?)", [now]))
        together += self._indexes()
        await self._execute_together(together)
        self._known_version = SCHEMA_VERSION

    @property
    def _quoted(self) -> dict[str, str]:
        return {
            "results": quote_relation(self._results),
            "runs": quote_relation(self._runs),
            "commits": quote_relation(self._commits),
            "fingerprints": quote_relation(self._fingerprints),
            "freshness": quote_relation(self._freshness),
            "meta": quote_relation(self._meta),
        }

    async def append_results(self, records: list[str]) -> None:
        if records:
            await self._append(self._results, records)

    async def append_run(self, result: RunResult) -> None:
        run = {
            "run_id": result.run_id,
            "target": result.target,
            "started_at": utc_text(result.started_at),
            "finished_at": utc_text(result.finished_at),
            "exit_code": result.exit_code,
            "stopped_by": result.stopped_by,
            "counts": dumps({str(status): count for status, count in result.counts().items()}),
            "warnings": dumps(list(result.warnings)) if result.warnings else None,
        }
        await self._append(self._runs, [dumps(run)])

    async def stored_results(self, run_id: str) -> Mapping[tuple[NodeId, float | None], Status]:
        sql = f"SELECT node_id, finished_at, status FROM {quote_relation(self._results)} WHERE run_id = ?"
        rows = await self._rows(sql, [run_id])
        return {(NodeId(node), time_from_text(at)): Status(status) for node, at, status in rows}

    async def committed(self, run_id: str) -> frozenset[tuple[NodeId, int | None]]:
        # A batch that has taken effect says nothing about those that come after it.
        sql = (
            f"SELECT DISTINCT node_id, attempt FROM {quote_relation(self._commits)} "
            "WHERE run_id = ? AND part NOT LIKE 'batch %'"
        )
        return frozenset((NodeId(node), attempt) for node, attempt in await self._rows(sql, [run_id]))

    async def _append(self, relation: Relation, records: list[str]) -> None:
        at = self._next_stored_at()
        stored_at = f'{{"stored_at":"{at.isoformat()}",'
        rows = [stored_at + record[1:] for record in records]
        try:
            await self._append_rows(relation, rows)
        except WarehouseError as error:
            if not error.transient:
                raise
            # The connection may have been lost after the commit: the time tells whether the batch is there.
            there = await self._rows(f"SELECT 1 FROM {quote_relation(relation)} WHERE stored_at = ? LIMIT 1", [at])
            if not there:
                await self._append_rows(relation, rows)

    async def _append_rows(self, relation: Relation, rows: list[str]) -> None:
        connection = self._warehouse.connect()
        try:
            await self._warehouse.append_json(connection, relation, rows)
        finally:
            await connection.close()

    def _next_stored_at(self) -> datetime.datetime:
        """One time for all rows of a batch, later than that of every batch before, whatever the clock does."""
        stored_at = self._now()
        if self._last_stored_at is not None:
            stored_at = max(stored_at, self._last_stored_at + datetime.timedelta(microseconds=1))
        self._last_stored_at = stored_at
        return stored_at

    async def _version(self, relations: frozenset[Relation] | None = None) -> int:
        """Of the tables that are there; 0 without any. Asked for until there are some: it only goes up, and here."""
        if self._known_version:
            return self._known_version
        relations = await self._warehouse.relations() if relations is None else relations
        if not _has(relations, self._meta):
            return 0
        rows = await self._rows(f"SELECT max(schema_version) FROM {quote_relation(self._meta)}")
        version = int(rows[0][0] or 0)
        if version > SCHEMA_VERSION:
            raise ProjectError(
                Problem(
                    code="STATE_VERSION",
                    message=f"the state in {self._meta.schema} has version {version}; "
                    f"this sqlbuild knows up to {SCHEMA_VERSION}",
                    help="use the sqlbuild that wrote it, or a newer one",
                )
            )
        self._known_version = version
        return version

    async def _execute_together(self, statements: list[tuple[str, Parameters]]) -> None:
        connection = self._warehouse.connect()
        try:
            await connection.execute_together(statements)
        finally:
            await connection.close()

    async def _rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        connection = self._warehouse.connect()
        try:
            return await (await connection.query(sql, parameters, extent=Extent.WHOLE)).fetch()
        finally:
            await connection.close()


def _has(relations: frozenset[Relation], table: Relation) -> bool:
    schema = table.schema.lower()
    return any(Relation(database, schema, table.name) in relations for database in ("", table.database.lower()))


def _result(row: Sequence[Any]) -> NodeResult:
    return result_from_fields(dict(zip(RESULT_COLUMNS, row, strict=True)))
