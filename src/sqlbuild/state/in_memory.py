"""Journal and state that live as long as the process, for runs that must leave nothing behind and for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import SUCCESSES, NodeResult, RunResult, Status
from sqlbuild.errors import EngineError
from sqlbuild.interfaces.state_store import StateStore
from sqlbuild.state.node_result_json import cursor_in, result_from_json
from sqlbuild.state.run_journal import VERSION, Entry, RunJournal, fold_entries

RECENT_DURATIONS = 5


class InMemoryJournal:
    """`sqlbuild.interfaces.state_store.Journal` without a file."""

    def __init__(self, *, run_id: str, target: str) -> None:
        self._entries: list[tuple[Entry, str | None]] = []
        self._held: list[tuple[Entry, str | None]] = []
        self._closed = False
        self._append({"journal": VERSION, "run_id": run_id, "target": target})

    def started(self, node: NodeId, attempt: int, at: float) -> None:
        self._append({"started": node, "attempt": attempt, "at": at})

    def attempt_failed(self, node: NodeId, attempt: int, at: float, error: str) -> None:
        self._append({"failed": node, "attempt": attempt, "at": at, "error": error})

    def checkpoints(
        self, node: NodeId, attempt: int, at: float, fingerprint: str, scope: str, entries: Sequence[tuple[str, str]]
    ) -> None:
        self._append(
            {"checkpoints": node, "attempt": attempt, "at": at, "fingerprint": fingerprint}
            | {"scope": scope, "values": list(entries)}
        )

    def finished(self, record: str, *, at_once: bool = True) -> None:
        self._held.append(({"finished": json.loads(record)}, record))
        if at_once:
            self.write_out()

    def write_out(self) -> None:
        if self._closed:
            raise EngineError("the run journal in memory is closed")
        self._entries += self._held
        self._held.clear()

    def ended(self, result: RunResult) -> None:
        self._append({"ended": result.run_id, "at": result.finished_at, "exit_code": result.exit_code})

    def close(self) -> None:
        self._closed = True

    def read(self) -> RunJournal:
        return fold_entries(self._entries)

    def _append(self, entry: Entry) -> None:
        self._held.append((entry, None))
        self.write_out()


class InMemoryStateStore:
    """`sqlbuild.interfaces.state_store.StateStore` without a warehouse; `relations` are what the target has."""

    def __init__(self, relations: Iterable[Relation] = ()) -> None:
        self.relations = frozenset(relations)
        self.runs: list[RunResult] = []
        self._results: dict[NodeId, list[NodeResult]] = {}
        self._sql: Mapping[tuple[NodeId, str], str] = {}
        self._versions: Mapping[NodeId, str] = {}
        self._last_run_id: str | None = None

    async def past(self) -> Past:
        nodes = {node: _past_node(results) for node, results in self._results.items()}
        return Past(
            nodes=nodes,
            relations=self.relations,
            last_run_id=self._last_run_id,
            source_versions=self._versions,
        )

    async def latest_success(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, NodeResult]:
        successes = {node: _successes(self._results.get(node, [])) for node in nodes}
        return {node: found[0] for node, found in successes.items() if found}

    async def last_results(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        return tuple(self._results.get(node, [])[::-1][:limit])

    async def last_successes(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        return tuple(_successes(self._results.get(node, []))[:limit])

    async def last_cursor(self, node: NodeId, key: str) -> str | None:
        cursors = (cursor_in(result.exports, key) for result in _successes(self._results.get(node, [])))
        return next((cursor for cursor in cursors if cursor is not None), None)

    async def keep_sql(self, texts: Mapping[tuple[NodeId, str], str]) -> None:
        self._sql = {**texts, **self._sql}

    async def sql_of(self, wanted: Iterable[tuple[NodeId, str]]) -> Mapping[tuple[NodeId, str], str]:
        return {key: self._sql[key] for key in wanted if key in self._sql}

    async def keep_source_versions(self, versions: Mapping[NodeId, str]) -> None:
        self._versions = {**self._versions, **versions}

    async def begin(self) -> tuple[str, ...]:
        """Nothing to create."""
        return ()

    async def append_results(self, records: list[str]) -> None:
        for result in [result_from_json(record) for record in records]:
            self._results.setdefault(result.node_id, []).append(result)
            self._last_run_id = result.run_id

    async def append_run(self, result: RunResult) -> None:
        self.runs.append(result)

    async def stored_results(self, run_id: str) -> Mapping[tuple[NodeId, float | None], Status]:
        of_run = (each for results in self._results.values() for each in results if each.run_id == run_id)
        return {(result.node_id, result.finished_at): result.status for result in of_run}

    async def committed(self, run_id: str) -> frozenset[tuple[NodeId, int | None]]:
        return frozenset()


class ReadOnlyStateStore:
    """`sqlbuild.interfaces.state_store.StateStore` that reads another one and keeps nothing, for dry runs."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def past(self) -> Past:
        return await self._store.past()

    async def latest_success(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, NodeResult]:
        return await self._store.latest_success(nodes)

    async def last_results(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        return await self._store.last_results(node, limit)

    async def last_successes(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        return await self._store.last_successes(node, limit)

    async def last_cursor(self, node: NodeId, key: str) -> str | None:
        return await self._store.last_cursor(node, key)

    async def keep_sql(self, texts: Mapping[tuple[NodeId, str], str]) -> None:
        """It is only read."""

    async def sql_of(self, wanted: Iterable[tuple[NodeId, str]]) -> Mapping[tuple[NodeId, str], str]:
        return await self._store.sql_of(wanted)

    async def keep_source_versions(self, versions: Mapping[NodeId, str]) -> None:
        """It is only read."""

    async def begin(self) -> tuple[str, ...]:
        """Nothing is created."""
        return ()

    async def append_results(self, records: list[str]) -> None:
        """Nothing is kept."""

    async def append_run(self, result: RunResult) -> None:
        """Nothing is kept."""

    async def stored_results(self, run_id: str) -> Mapping[tuple[NodeId, float | None], Status]:
        return await self._store.stored_results(run_id)

    async def committed(self, run_id: str) -> frozenset[tuple[NodeId, int | None]]:
        return await self._store.committed(run_id)


def _past_node(results: list[NodeResult]) -> PastNode:
    successes = _successes(results)
    latest = successes[0] if successes else None
    recent = [result.duration for result in successes[:RECENT_DURATIONS]]
    return PastNode(
        last_status=results[-1].status,
        last_run_id=results[-1].run_id,
        last_success_run_id=latest.run_id if latest else None,
        last_success_fingerprint=latest.fingerprint or None if latest else None,
        last_success_at=latest.finished_at if latest else None,
        typical_seconds=_median(recent) if recent else None,
    )


def _median(values: list[float]) -> float:
    """That of `statistics`, which takes 6 ms to load."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _successes(results: list[NodeResult]) -> list[NodeResult]:
    """Newest first."""
    return [result for result in reversed(results) if result.status in SUCCESSES]
