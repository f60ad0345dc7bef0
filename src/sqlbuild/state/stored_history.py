"""Past runs and results, for people, as the state tables of a target have them (see `warehouse_tables`)."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.past_runs import PastRun
from sqlbuild.domain.results import NodeResult, Status
from sqlbuild.interfaces.warehouse import Extent, Parameters, Warehouse
from sqlbuild.sql.rendering import quote_relation
from sqlbuild.state.node_result_json import result_from_fields, time_from_text
from sqlbuild.state.past_runs import StoredRun, run_of_rows
from sqlbuild.state.statements import StateStatements

_ROWS = """
SELECT run_id, started_at, finished_at, exit_code, stopped_by
FROM {runs}
WHERE run_id IN (SELECT unnest(CAST(? AS VARCHAR[])))
ORDER BY stored_at
"""


class StoredHistory:
    """In `schema` of an open warehouse; nothing may be asked of one that has no state tables."""

    def __init__(self, warehouse: Warehouse, schema: str, database: str = "", *, statements: StateStatements) -> None:
        self._warehouse = warehouse
        self._statements = statements
        self._place = {Relation(place, schema.lower(), "_sqlbuild_runs") for place in ("", database.lower())}
        self._names = {
            "results": quote_relation(Relation(database, schema, "_sqlbuild_node_results")),
            "runs": quote_relation(Relation(database, schema, "_sqlbuild_runs")),
        }

    def is_among(self, relations: AbstractSet[Relation]) -> bool:
        """Whether a target with these relations has state tables."""
        return not self._place.isdisjoint(relations)

    async def runs(self, limit: int) -> tuple[PastRun, ...]:
        """The newest first, by their beginning."""
        newest = await self._rows(self._statements.newest_runs, [limit])
        ids = [run_id for run_id, _ in newest]
        rows: dict[str, list[StoredRun]] = collections.defaultdict(list)
        for run_id, started_at, finished_at, exit_code, stopped_by in await self._rows(_ROWS, [ids]):
            rows[run_id].append(
                StoredRun(
                    started_at=time_from_text(started_at),
                    finished_at=time_from_text(finished_at),
                    exit_code=exit_code,
                    stopped_by=stopped_by,
                )
            )
        counts: dict[str, dict[Status, int]] = collections.defaultdict(dict)
        for run_id, status, count in await self._rows(self._statements.run_counts, [ids]):
            counts[run_id][Status(status)] = count
        return tuple(
            run_of_rows(run_id, rows[run_id], counts[run_id], time_from_text(began)) for run_id, began in newest
        )

    async def results(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        """The last result of the node in each of the newest runs that had it, newest first."""
        return tuple(map(result_from_fields, await self._records(self._statements.results_of_node, [node, limit])))

    async def _rows(self, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        _, rows = await self._read(sql, parameters)
        return rows

    async def _records(self, sql: str, parameters: Parameters) -> list[Mapping[str, Any]]:
        """By column name: tables of an earlier sqlbuild have fewer columns."""
        columns, rows = await self._read(sql, parameters)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    async def _read(self, sql: str, parameters: Parameters) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        connection = self._warehouse.connect()
        try:
            found = await connection.query(sql.format(**self._names), parameters, extent=Extent.WHOLE)
            return found.columns, await found.fetch()
        finally:
            await connection.close()
