"""What a run that was lost with its process left in its journal only is brought to the warehouse.

Done under the target's lock, before anything is planned: whoever still ran would hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlbuild.domain.ids import NodeId, kind_of, name_of
from sqlbuild.domain.record import record
from sqlbuild.domain.results import SUCCESSES, NodeResult, RunResult, Status
from sqlbuild.errors import EngineError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.state_store import StateStore
from sqlbuild.state.journal import FILE_NAME, FileJournal, journal_has_ended, read_journal
from sqlbuild.state.node_result_json import result_from_json, result_to_json
from sqlbuild.state.run_journal import RunJournal

LOST = "lost"
"""What stopped a run whose process ended before it."""
_ROWS = 1_000


@record(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One run: how many results came from its journal, and of which nodes no end was seen."""

    run_id: str
    results: int
    unknown: tuple[NodeId, ...]
    recovered: tuple[NodeId, ...] = ()
    """Nodes whose commit the warehouse has, though their process ended before it could say so."""
    notes: tuple[str, ...] = ()


def lost_runs(runs: Path, target: str) -> tuple[list[RunJournal], list[EngineError]]:
    """Journals of runs of `target` that nobody has looked after, oldest first, and those that cannot be read."""
    lost: list[RunJournal] = []
    damaged: list[EngineError] = []
    for folder in sorted(runs.iterdir()) if runs.is_dir() else ():
        path = folder / FILE_NAME
        if not path.exists() or journal_has_ended(str(path)):
            continue
        try:
            journal = read_journal(str(path))
        except EngineError as error:
            damaged.append(error)
            continue
        if journal.is_lost and journal.run_id is not None and journal.target == target:
            lost.append(journal)
    return lost, damaged


async def replay(journal: RunJournal, runs: Path, store: StateStore, now: float) -> Replayed:
    """Bring a lost run to the warehouse, all of it, and say so in its journal; may itself be killed and done again."""
    assert journal.run_id is not None
    run_id = journal.run_id
    stored = await store.stored_results(run_id)
    committed = await store.committed(run_id) if journal.unknown else frozenset()
    results = [result_from_json(record) for record in journal.records.values()]
    recovered: list[NodeId] = []
    unknown: list[NodeId] = []
    for node in journal.unknown:
        end = result_without_end(journal, node, recovered=not committed.isdisjoint(_markers(journal, node)))
        before = stored.get((node, end.finished_at))
        if before is not None:
            # Told by an earlier replay, when the warehouse still had its marker.
            end = result_without_end(journal, node, recovered=before in SUCCESSES)
        results.append(end)
        (recovered if end.status in SUCCESSES else unknown).append(node)
    missing = [result for result in results if (result.node_id, result.finished_at) not in stored]
    for rows in _batches([result_to_json(result) for result in missing]):
        await store.append_results(rows)
    failpoint("replay.stored")
    await store.append_run(
        RunResult(
            run_id=run_id,
            target=journal.target or "",
            started_at=journal.resumed_at or journal.started_at or now,
            finished_at=max((result.finished_at or 0.0 for result in results), default=now),
            results={result.node_id: result for result in results},
            exit_code=EngineError.exit_code,
            stopped_by=LOST,
        )
    )
    failpoint("replay.run_stored")
    kept = FileJournal.reopen(str(runs / run_id))
    try:
        kept.replayed(run_id)
    finally:
        kept.close()
    failpoint("replay.told")
    return Replayed(
        run_id=run_id,
        results=len(missing),
        unknown=tuple(unknown),
        recovered=tuple(recovered),
        notes=journal.notes,
    )


def _markers(journal: RunJournal, node: NodeId) -> set[tuple[NodeId, int | None]]:
    """What the warehouse says if the last attempt of a node took effect."""
    return {(node, journal.started[node]), (node, None)}


def result_without_end(journal: RunJournal, node: NodeId, *, recovered: bool) -> NodeResult:
    """What is stored of a node whose end nobody saw. Its time is rounded as the stored one, which it is compared with."""
    assert journal.run_id is not None
    why = "the process ended before the end of this node was written down"
    if recovered:
        why += "; the warehouse has what it did"
    result = NodeResult(
        run_id=journal.run_id,
        node_id=node,
        kind=kind_of(node),
        name=name_of(node),
        status=Status.SUCCEEDED if recovered else Status.UNKNOWN,
        attempt=journal.started[node],
        started_at=journal.began_at[node],
        # Always the same, so that it is stored once, however often the replay begins.
        finished_at=journal.began_at[node],
        fingerprint=journal.planned.get(node, "") if recovered else "",
        warnings=(why,),
    )
    return result_from_json(result_to_json(result))


def _batches(records: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(records), _ROWS):
        yield records[start : start + _ROWS]
