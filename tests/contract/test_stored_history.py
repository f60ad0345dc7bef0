"""Past runs and results as the tables of a target have them."""

from __future__ import annotations

import pytest

from sqlbuild.domain.past_runs import Ending
from sqlbuild.domain.results import Status
from sqlbuild.state.stored_history import StoredHistory


@pytest.fixture
async def target(state_place, make_store, statements_of):
    """The state store and the history of one schema."""
    store = make_store(state_place, "Dev")
    await store.begin()
    return store, StoredHistory(state_place, "Dev", statements=statements_of(state_place))


async def test_a_target_that_was_never_built_has_no_history(state_place, make_store, statements_of):
    history = StoredHistory(state_place, "dev", statements=statements_of(state_place))
    assert not history.is_among(await state_place.relations())
    await make_store(state_place).begin()
    assert history.is_among(await state_place.relations())
    assert (await history.runs(5), await history.results("task:a", 5)) == ((), ())


async def test_runs_are_told_newest_first_with_their_counts(target, make_record, make_run):
    store, history = target
    await store.append_results([make_record("task:a"), make_record("task:b", status=Status.FAILED)])
    await store.append_run(make_run("r1", exit_code=1))
    await store.append_results([make_record("task:a", run_id="r2")])
    await store.append_run(make_run("r2", started_at=1_800_000_100.0, finished_at=1_800_000_102.5))
    newest, oldest = await history.runs(5)
    assert (newest.run_id, newest.ending, newest.seconds, newest.counts) == (
        "r2",
        Ending.SUCCEEDED,
        2.5,
        {Status.SUCCEEDED: 1},
    )
    assert (oldest.run_id, oldest.exit_code) == ("r1", 1)
    assert oldest.counts == {Status.SUCCEEDED: 1, Status.FAILED: 1}
    assert [run.run_id for run in await history.runs(1)] == ["r2"]


async def test_a_run_that_was_gone_on_with_has_the_last_result_of_each_node(target, make_record, make_run):
    store, history = target
    await store.append_results([make_record("task:a"), make_record("task:b", status=Status.FAILED, payload="1")])
    await store.append_run(make_run(exit_code=1))
    await store.append_results([make_record("task:b", attempt=2, payload="2")])
    await store.append_run(make_run(started_at=1_800_000_500.0, finished_at=1_800_000_501.0))
    (run,) = await history.runs(5)
    assert (run.resumed, run.ending, run.counts, run.seconds) == (1, Ending.SUCCEEDED, {Status.SUCCEEDED: 2}, 2.0)
    (result,) = await history.results("task:b", 5)
    assert (result.status, result.attempt, result.payload) == (Status.SUCCEEDED, 2, "2")


async def test_a_run_that_nobody_has_looked_after_is_told_by_its_results(target, make_record):
    store, history = target
    await store.append_results([make_record("task:a", run_id="r9", started_at=1_800_000_007.0)])
    (run,) = await history.runs(5)
    assert (run.run_id, run.ending, run.started_at) == ("r9", Ending.KILLED, 1_800_000_007.0)


async def test_results_of_a_node_are_told_newest_first_with_their_exports(target, make_record):
    store, history = target
    exports = '{"files":[{"path":"a.csv","rows":3}]}'
    for number in (1, 2, 3):
        await store.append_results(
            [make_record("asset:a", run_id=f"r{number}", exports=exports), make_record("task:b", run_id=f"r{number}")]
        )
    found = await history.results("asset:a", 2)
    assert [(result.run_id, result.exports) for result in found] == [("r3", exports), ("r2", exports)]


async def test_runs_without_a_beginning_are_told_last(target, make_record, make_run):
    store, history = target
    await store.append_results(
        [make_record("task:a", run_id="r3"), make_record("task:a", run_id="r4", started_at=1_800_000_009.0)]
    )
    await store.append_results([make_record("task:a", run_id="r5")])
    await store.append_run(make_run("r1", started_at=1_800_000_001.0))
    await store.append_run(make_run("r4", started_at=1_800_000_008.0))
    assert [run.run_id for run in await history.runs(9)] == ["r4", "r1", "r5", "r3"]
