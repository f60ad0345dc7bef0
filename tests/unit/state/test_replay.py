"""A run that was lost, brought to its store; see also tests/integration/test_resume.py for real kills."""

from __future__ import annotations

import pytest

from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import NodeResult, RunResult, Status
from sqlbuild.state.in_memory import InMemoryStateStore
from sqlbuild.state.journal import FileJournal, read_journal
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.state.replay import lost_runs, replay


class _StoreThatCommitted(InMemoryStateStore):
    def __init__(self, attempt):
        super().__init__()
        self.attempt = attempt

    async def committed(self, run_id):
        return frozenset({("loader:orders", self.attempt)})


def _record(node: str, status: Status = Status.SUCCEEDED, at: float = 20.25) -> str:
    kind, _, name = node.partition(":")
    result = NodeResult(
        run_id="r1", node_id=node, kind=NodeKind(kind), name=name, status=status, attempt=1, finished_at=at
    )
    return result_to_json(result)


@pytest.fixture
def runs(tmp_path):
    """Run r1: `task:a` ended, `task:b` and `loader:orders` only began."""
    journal = FileJournal(
        str(tmp_path / "r1"), run_id="r1", target="dev", request={}, planned={"task:a": "fa", "loader:orders": "fl"}
    )
    for node in ("task:a", "task:b", "loader:orders"):
        journal.started(node, 1, 10.123456789)
    journal.finished(_record("task:a"))
    journal.close()
    return tmp_path


def _only(runs):
    (journal,), damaged = lost_runs(runs, "dev")
    assert damaged == []
    return journal


async def test_what_is_only_in_the_journal_is_stored_once(runs):
    store = InMemoryStateStore()
    told = await replay(_only(runs), runs, store, 99.0)
    assert (told.run_id, told.results, told.unknown) == ("r1", 3, ("task:b", "loader:orders"))
    past = await store.past()
    assert {node: stored.last_status for node, stored in past.nodes.items()} == {
        "task:a": Status.SUCCEEDED,
        "task:b": Status.UNKNOWN,
        "loader:orders": Status.UNKNOWN,
    }
    assert [(run.run_id, run.stopped_by, run.exit_code) for run in store.runs] == [("r1", "lost", 5)]
    assert lost_runs(runs, "dev") == ([], [])


async def test_a_replay_that_was_cut_short_stores_nothing_twice(runs):
    store, lost = InMemoryStateStore(), _only(runs)
    await replay(lost, runs, store, 99.0)
    assert (await replay(lost, runs, store, 99.0)).results == 0
    assert len(await store.last_results("task:b", 5)) == 1


async def test_what_the_warehouse_had_already_is_left_alone(runs):
    store = InMemoryStateStore()
    await store.append_results([_record("task:a")])
    assert (await replay(_only(runs), runs, store, 99.0)).results == 2
    assert len(await store.last_results("task:a", 5)) == 1


@pytest.mark.parametrize("attempt", [1, None])
async def test_a_commit_in_the_warehouse_is_a_success_with_the_planned_fingerprint(runs, attempt):
    store = _StoreThatCommitted(attempt)
    told = await replay(_only(runs), runs, store, 99.0)
    assert (told.unknown, told.recovered) == (("task:b",), ("loader:orders",))
    (loaded,) = await store.last_successes("loader:orders", 5)
    assert (loaded.status, loaded.fingerprint, loaded.attempt) == (Status.SUCCEEDED, "fl", 1)
    assert "the warehouse has what it did" in loaded.warnings[0]


async def test_a_commit_of_an_earlier_attempt_says_nothing_of_the_last_one(runs):
    journal = FileJournal.reopen(str(runs / "r1"))
    journal.started("loader:orders", 2, 11.0)
    journal.close()
    told = await replay(_only(runs), runs, _StoreThatCommitted(1), 99.0)
    assert (told.unknown, told.recovered) == (("task:b", "loader:orders"), ())


async def test_what_a_replay_has_found_holds_without_the_commit(runs):
    store = _StoreThatCommitted(1)
    await replay(_only(runs), runs, store, 99.0)
    journal = FileJournal.reopen(str(runs / "r1"))
    journal.resumed("r1", {})
    journal.close()
    store.attempt = 0
    told = await replay(_only(runs), runs, store, 99.0)
    assert (told.results, told.recovered) == (0, ("loader:orders",))
    assert store.runs[-1].results["loader:orders"].status is Status.SUCCEEDED


def test_runs_that_ended_or_are_of_another_target_are_not_lost(runs):
    other = FileJournal(str(runs / "r2"), run_id="r2", target="prod")
    other.close()
    ended = FileJournal(str(runs / "r3"), run_id="r3", target="dev")
    ended.ended(RunResult(run_id="r3", target="dev", started_at=1.0, finished_at=2.0, results={}, exit_code=1))
    ended.close()
    assert [journal.run_id for journal in lost_runs(runs, "dev")[0]] == ["r1"]
    assert lost_runs(runs / "missing", "dev") == ([], [])


def test_a_damaged_journal_is_told_and_never_taken_for_an_empty_one(runs):
    path = runs / "r1" / "journal.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"x" + content[21:])
    lost, (error,) = lost_runs(runs, "dev")
    assert lost == []
    assert "damaged at byte 0" in str(error)


def test_a_resumed_journal_goes_on_behind_a_torn_record(runs):
    path = runs / "r1" / "journal.jsonl"
    path.write_bytes(path.read_bytes() + b'{"crc":"00')
    journal = FileJournal.reopen(str(runs / "r1"))
    journal.resumed("r1", {"task:b": "fb2"})
    journal.started("task:b", 2, 30.0)
    journal.finished(_record("task:b"))
    journal.close()
    said = read_journal(str(path))
    assert (said.dropped_bytes, said.resumed, said.is_lost) == (0, 1, True)
    assert said.planned == {"task:a": "fa", "loader:orders": "fl", "task:b": "fb2"}
    assert said.unknown == ("loader:orders",)
