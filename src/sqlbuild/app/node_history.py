"""`sqb history NODE`: what one node did in the past runs of a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlbuild.app.history_sources import ask_warehouse, goes_on, journals_of
from sqlbuild.app.live_runs import known_of
from sqlbuild.app.one_node import one_node
from sqlbuild.app.options import Compiled
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.record import record
from sqlbuild.domain.results import NodeResult
from sqlbuild.errors import EngineError
from sqlbuild.planner.explain_past import explain_past
from sqlbuild.state.journal import journal_has_ended, read_journal
from sqlbuild.state.node_result_json import result_from_json
from sqlbuild.state.replay import result_without_end
from sqlbuild.state.run_journal import RunJournal

_BEFORE = 20
"""So many more results are read, to say of the last ones why the node ran."""


@record(frozen=True, slots=True, kw_only=True)
class PastResult:
    """What a node did in one run, and why it ran; `why` is empty where it did not, or where that is not known."""

    result: NodeResult
    why: str


@record(frozen=True, slots=True, kw_only=True)
class AtWork:
    """The attempt of a node that goes on at this moment; `since` is in seconds since the epoch."""

    run_id: str
    attempt: int
    since: float


@record(frozen=True, slots=True, kw_only=True)
class NodeHistory:
    """One result of each run that had the node, the newest first.

    `why_not` says why the warehouse was not asked, `damage` what is wrong with journals that could not be read.
    """

    node: Node
    target: str
    results: tuple[PastResult, ...]
    at_work: AtWork | None
    why_not: str
    damage: tuple[str, ...]


def node_history(compiled: Compiled, name: str, limit: int) -> NodeHistory:
    """The newest `limit` results of a node, by name or `kind:name`. Raises SelectionError for an unknown one."""
    known = known_of(compiled)
    node = one_node(compiled, known.past, name)
    settings, root = compiled.project.settings, compiled.project.root
    wanted = limit + _BEFORE
    answer = ask_warehouse(settings, root, lambda stored: stored.results(node.id, wanted))
    found = {result.run_id: result for result in answer.found or ()}
    if answer.why_not:
        found |= {result.run_id: result for result in reversed(known.results.get(node.id, ()))}
    damage: list[str] = []
    live_id = None if known.live is None else known.live.run_id
    at_work: AtWork | None = None
    kept = journals_of(root, settings.target.name)
    for journal in _journals(kept, node.id, wanted, all_of_them=bool(answer.why_not), damage=damage):
        assert journal.run_id is not None
        if journal.replayed and journal.run_id in found:
            continue
        if node.id in journal.records:
            found[journal.run_id] = result_from_json(journal.records[node.id])
        elif node.id in journal.unknown and goes_on(journal, live_id, settings):
            found.pop(journal.run_id, None)
            at_work = AtWork(run_id=journal.run_id, attempt=journal.started[node.id], since=journal.began_at[node.id])
        elif node.id in journal.unknown:
            found[journal.run_id] = result_without_end(journal, node.id, recovered=False)
    results = sorted(found.values(), key=lambda result: (result.finished_at or 0.0, result.run_id), reverse=True)
    complete = not answer.why_not and len(answer.found or ()) < wanted
    whys = explain_past(node, results, complete=complete)
    return NodeHistory(
        node=node,
        target=settings.target.name,
        results=tuple(
            PastResult(result=result, why=why) for result, why in zip(results[:limit], whys[:limit], strict=True)
        ),
        at_work=at_work,
        why_not=answer.why_not,
        damage=tuple(damage),
    )


def _journals(
    paths: Mapping[str, str], node: NodeId, limit: int, *, all_of_them: bool, damage: list[str]
) -> Iterator[RunJournal]:
    """What they say of the node, the newest first: those whose run has not ended, or all of them.

    What is wrong with others goes to `damage`.
    """
    for _, path in sorted(paths.items(), reverse=True)[:limit]:
        if not all_of_them and journal_has_ended(path):
            continue
        try:
            journal = read_journal(path, about=(node,))
        except EngineError as error:
            damage.append(str(error.args[0]))
            continue
        if journal.run_id is not None:
            yield journal
