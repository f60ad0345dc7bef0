"""What every state store promises; see `sqlbuild.interfaces.state_store`."""

from __future__ import annotations

import dataclasses

import pytest

from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import ErrorFacts, SkipMode, Status

FAILED = ErrorFacts(type="ValueError", message="no", traceback="Traceback ...\n", path="tasks/a.py", line=3, help="fix")


async def test_a_target_that_was_never_built_has_an_empty_past(store):
    assert await store.past() == Past()
    assert await store.latest_success(["task:a"]) == {}
    assert await store.last_results("task:a", 5) == ()


async def test_beginning_again_keeps_what_is_stored(store, make_record):
    await store.begin()
    await store.append_results([make_record("task:a")])
    await store.begin()
    assert set((await store.past()).nodes) == {"task:a"}


async def test_the_past_tells_the_last_status_and_the_last_success(store, make_record):
    await store.begin()
    await store.append_results([make_record(run_id="r1", fingerprint="f1", finished_at=100.25, duration=2.0)])
    await store.append_results([make_record(run_id="r2", fingerprint="f2", status=Status.FAILED, error=FAILED)])
    assert (await store.past()).nodes["task:a"] == PastNode(
        last_status=Status.FAILED,
        last_run_id="r2",
        last_success_run_id="r1",
        last_success_fingerprint="f1",
        last_success_at=100.25,
        typical_seconds=2.0,
    )


async def test_a_node_that_never_succeeded_has_no_success(store, make_record):
    await store.begin()
    await store.append_results([make_record(status=Status.BLOCKED, because_of=("task:b",), finished_at=None)])
    assert (await store.past()).nodes == {"task:a": PastNode(last_status=Status.BLOCKED, last_run_id="r1")}
    assert await store.latest_success(["task:a"]) == {}


async def test_a_warned_check_counts_as_a_success(store, make_record):
    await store.begin()
    await store.append_results(
        [make_record("check:a", run_id="r1", status=Status.WARNED, fingerprint="f1", duration=3.0)]
    )
    past = (await store.past()).nodes["check:a"]
    assert (past.last_status, past.last_success_run_id, past.typical_seconds) == (Status.WARNED, "r1", 3.0)
    assert (await store.latest_success(["check:a"]))["check:a"].status is Status.WARNED
    assert [result.run_id for result in await store.last_successes("check:a", 5)] == ["r1"]


async def test_the_last_run_is_the_one_stored_last(store, make_record):
    await store.begin()
    await store.append_results([make_record("task:a", run_id="zz"), make_record("task:b", run_id="zz")])
    await store.append_results([make_record("task:b", run_id="aa", status=Status.SKIPPED, finished_at=None)])
    await store.append_results([make_record("model:c", run_id="aa", finished_at=5.0)])
    past = await store.past()
    assert past.last_run_id == "aa"
    assert past.last_run() == {"task:b": Status.SKIPPED, "model:c": Status.SUCCEEDED}
    assert past.nodes["task:b"].last_success_run_id == "zz"


async def test_the_typical_duration_is_the_median_of_the_last_five_successes(store, make_record):
    await store.begin()
    for number, seconds in enumerate([100.0, 100.0, 1.0, 9.0, 2.0, 8.0, 4.0]):
        await store.append_results([make_record(run_id=f"r{number}", duration=seconds)])
        await store.append_results([make_record(run_id=f"f{number}", duration=500.0, status=Status.FAILED)])
    assert (await store.past()).nodes["task:a"].typical_seconds == 4.0


async def test_results_come_back_whole_and_newest_first(store, make_result, make_record):
    first = make_result(
        "asset:a",
        payload='{"rows":[1,null,"x\\u0001"]}',
        metadata='"métadonnées 😀"',
        materialized=False,
        started_at=1_800_000_000.123456,
        finished_at=1_800_000_001.654321,
        duration=1.530865,
        waited=0.25,
        fingerprint="0123:4567",
        warnings=("slow", 'it\'s "odd"'),
    )
    second = make_result(
        "asset:a", run_id="r2", status=Status.FAILED, attempt=3, error=FAILED, retried=(FAILED, FAILED), started_at=2.5
    )
    third = make_result(
        "asset:a", run_id="r3", status=Status.SKIPPED, attempt=0, skip_reason="later", skip_mode=SkipMode.HARD
    )
    await store.begin()
    for result in (first, second, third):
        facts = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        del facts["node_id"], facts["kind"], facts["name"]
        await store.append_results([make_record("asset:a", **facts), make_record("task:other", run_id=result.run_id)])
    assert await store.last_results("asset:a", 10) == (third, second, first)
    assert await store.last_results("asset:a", 2) == (third, second)
    assert await store.latest_success(["asset:a", "asset:unknown"]) == {"asset:a": first}


async def test_the_last_successes_leave_out_everything_else(store, make_record):
    assert await store.last_successes("task:a", 5) == ()
    await store.begin()
    for number, status in enumerate(["succeeded", "failed", "succeeded", "skipped", "succeeded", "unknown"]):
        facts = {"run_id": f"r{number}", "status": Status(status), "payload": str(number)}
        await store.append_results([make_record("task:a", **facts), make_record("task:b", **facts)])
    found = await store.last_successes("task:a", 5)
    assert [(result.run_id, result.payload) for result in found] == [("r4", "4"), ("r2", "2"), ("r0", "0")]
    assert [result.run_id for result in await store.last_successes("task:a", 2)] == ["r4", "r2"]
    assert await store.last_successes("task:unknown", 2) == ()


async def test_an_empty_batch_is_nothing(store):
    await store.begin()
    await store.append_results([])
    assert (await store.past()).nodes == {}


@pytest.mark.parametrize("text", ["", "'; DROP TABLE canary; --", "a\nb", "\ud800", "x\0y", "😀" * 1_000])
async def test_any_text_in_a_result_can_be_stored(store, make_record, text):
    await store.begin()
    error = ErrorFacts(type="ValueError", message=text)
    await store.append_results([make_record(status=Status.FAILED, error=error, skip_reason=text, warnings=(text,))])
    (found,) = await store.last_results("task:a", 1)
    written = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    assert (found.error.message, found.skip_reason, found.warnings) == (written, written, (written,))


async def test_a_finished_run_is_stored(store, make_run, make_result):
    await store.begin()
    await store.append_run(make_run(results=(make_result(),), stopped_by="SIGINT", exit_code=130, warnings=("w",)))


async def test_it_is_known_which_results_of_a_run_are_kept(store, make_record):
    await store.begin()
    await store.append_results(
        [make_record("task:a", run_id="r1", finished_at=100.25), make_record("task:b", run_id="r2")]
    )
    assert await store.stored_results("r1") == {("task:a", 100.25): Status.SUCCEEDED}
    assert await store.stored_results("r3") == {}
    assert await store.committed("r1") == frozenset()


async def test_the_sql_of_models_is_kept_once_for_each_version_of_it(store):
    first, second = ("model:a", "c1"), ("model:a", "c2")
    assert await store.sql_of([first]) == {}
    await store.begin()
    await store.keep_sql({})
    await store.keep_sql({first: 'SELECT 1 AS "it\'s"\n', ("model:b", "c1"): "SELECT '\ud800'"})
    await store.keep_sql({first: "something else", second: "SELECT 2"})
    assert await store.sql_of([first, second, ("model:b", "c9")]) == {
        first: 'SELECT 1 AS "it\'s"\n',
        second: "SELECT 2",
    }
