"""What the stored state is to somebody with a SQL prompt, and at scale."""

from __future__ import annotations

import datetime
import time

import anyio
import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.results import ErrorFacts, Status
from sqlbuild.errors import ProjectError, WarehouseError
from sqlbuild.state.migrations import SCHEMA_VERSION
from sqlbuild.state.postgres_statements import POSTGRES_STATEMENTS
from sqlbuild.warehouses.postgres import PostgresWarehouse


async def test_results_are_readable_in_sql(state_place, make_store, make_record, rows):
    store = make_store(state_place)
    await store.begin()
    error = ErrorFacts(type="ValueError", message="no such order", path="tasks/a.py", line=3)
    await store.append_results(
        [
            make_record("asset:a", payload='{"rows":12}', started_at=1_800_000_000.25, because_of=("task:b", "task:c")),
            make_record("task:b", status=Status.FAILED, error=error, retried=(error,)),
        ]
    )
    assert await rows(
        state_place,
        "SELECT node_name, CAST(payload AS JSON)->>'rows', started_at, CAST(because_of AS JSON)->>1 FROM dev._sqlbuild_node_results "
        "WHERE node_type = 'asset'",
    ) == [("a", "12", datetime.datetime.fromisoformat("2027-01-15T08:00:00.25"), "task:c")]
    assert await rows(
        state_place,
        "SELECT error_type, error_line, CAST(retried AS JSON)->0->>'message' FROM dev._sqlbuild_node_results WHERE status = 'failed'",
    ) == [("ValueError", 3, "no such order")]


async def test_runs_are_readable_in_sql(state_place, make_store, make_run, make_result, rows):
    store = make_store(state_place)
    await store.begin()
    await store.append_run(make_run("r7", (make_result(), make_result("task:b")), exit_code=1))
    sql = "SELECT run_id, target, exit_code, stopped_by, CAST(counts AS JSON)->>'succeeded' FROM dev._sqlbuild_runs"
    assert await rows(state_place, sql) == [("r7", "dev", 1, None, "2")]
    assert await rows(state_place, "SELECT schema_version FROM dev._sqlbuild_meta") == [(SCHEMA_VERSION,)]


async def test_only_beginning_creates_anything(state_place, make_store, make_record):
    store = make_store(state_place, "Dev Schema")
    await store.past()
    await store.latest_success(["task:a"])
    await store.last_results("task:a", 1)
    assert await state_place.relations() == frozenset()
    with pytest.raises(WarehouseError):
        await store.append_results([make_record()])
    await store.begin()
    names = (
        "_sqlbuild_node_results",
        "_sqlbuild_runs",
        "_sqlbuild_commits",
        "_sqlbuild_fingerprints",
        "_sqlbuild_source_freshness",
        "_sqlbuild_meta",
    )
    assert await state_place.relations() == {Relation("", "dev schema", name) for name in names}


async def test_commits_are_kept_until_the_result_of_their_attempt_is_stored(state_place, make_store, make_record):
    store = make_store(state_place)
    await store.begin()
    markers = [
        "('r1', 'model:a', 'table', now(), 1)",
        "('r1', 'model:b', 'table', now(), 2)",
        "('r1', 'model:c', 'table', now(), 1)",
        "('r1', 'loader:d', 'load', now(), NULL)",
        "('r2', 'model:a', 'table', now(), 1)",
    ]
    for marker in markers:
        await state_place.connect().execute(f"INSERT INTO dev._sqlbuild_commits VALUES {marker}")
    await store.append_results(
        [make_record("model:a", run_id="r1"), make_record("model:b", run_id="r1"), make_record("loader:d", run_id="r1")]
    )
    await store.begin()
    assert await store.committed("r1") == {("model:b", 2), ("model:c", 1), ("loader:d", None)}
    assert await store.committed("r2") == {("model:a", 1)}


async def test_a_clock_that_runs_backwards_does_not_reorder_results(state_place, make_store, make_record):
    times = iter(datetime.datetime.fromisoformat(f"2026-01-{day}") for day in (20, 19, 18, 12, 11, 10))
    for run in ("r1", "r2"):
        store = make_store(state_place, now=lambda: next(times))
        await store.begin()
        for node in ("task:a", "task:b"):
            await store.append_results([make_record(node, run_id=run)])
    past = await store.past()
    assert past.last_run_id == "r2"
    assert {stored.last_run_id for stored in past.nodes.values()} == {"r2"}


async def test_a_batch_is_stored_whole_or_not_at_all(state_place, make_store, make_record):
    store = make_store(state_place)
    await store.begin()
    with pytest.raises(WarehouseError):
        await store.append_results([make_record(), '{"run_id":"r1","attempt":"many"}'])
    assert (await store.past()).nodes == {}


async def test_readers_see_whole_batches(state_place, make_store, make_record, rows):
    store = make_store(state_place)
    await store.begin()
    seen = []

    async def read(scope):
        with scope:
            while True:
                seen.append((await rows(state_place, "SELECT count(*) FROM dev._sqlbuild_node_results"))[0][0])

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read, scope)
        for run in range(5):
            await store.append_results([make_record(f"task:t{number}", run_id=f"r{run}") for number in range(300)])
            # The first of the two may have begun before the batch was there.
            read_by_now = len(seen)
            while len(seen) < read_by_now + 2:
                await anyio.lowlevel.checkpoint()
        scope.cancel()
    assert set(seen) - {0} == {300, 600, 900, 1200, 1500}


async def test_the_state_of_a_newer_version_is_refused(state_place, make_store):
    store = make_store(state_place)
    await store.begin()
    await state_place.connect().execute(f"INSERT INTO dev._sqlbuild_meta VALUES ({SCHEMA_VERSION + 1}, NULL)")
    for use in ("past", "begin"):
        with pytest.raises(ProjectError, match=f"version {SCHEMA_VERSION + 1}"):
            await getattr(make_store(state_place), use)()


@pytest.mark.deadline(60)
async def test_ten_thousand_nodes_of_many_runs_are_read_at_once(state_place, make_store, make_record):
    """Measured: 0.15 s to read, 0.03 ms a result to store; the limits only catch a change of order."""
    runs = 4 if isinstance(state_place, PostgresWarehouse) else 50
    store = make_store(state_place)
    await store.begin()
    await store.append_results([make_record(f"task:t{number}", run_id="r0") for number in range(10_000)])
    columns = "node_id, node_type, node_name, attempt, status, duration, finished_at"
    await state_place.connect().execute(
        f"INSERT INTO dev._sqlbuild_node_results (run_id, stored_at, {columns}) "
        f"SELECT concat('r', run), stored_at + run * INTERVAL '1 second', {columns} "
        f"FROM dev._sqlbuild_node_results, generate_series(1, {runs - 1}) AS runs (run)"
    )
    started = time.monotonic()
    past = await store.past()
    assert time.monotonic() - started < 3.0
    assert (len(past.nodes), past.last_run_id, len(past.last_run())) == (10_000, f"r{runs - 1}", 10_000)
    started = time.monotonic()
    assert len(await store.latest_success(past.nodes)) == 10_000
    assert time.monotonic() - started < 6.0


async def test_what_is_asked_of_a_long_history_is_found_by_an_index(make_postgres, make_store):
    """Else every command would take longer with each run."""
    warehouse = make_postgres()
    await warehouse.open()
    await make_store(warehouse).begin()
    connection = warehouse.connect()
    quoted = {"results": "dev._sqlbuild_node_results", "runs": "dev._sqlbuild_runs"}
    texts = [
        POSTGRES_STATEMENTS.past,
        POSTGRES_STATEMENTS.latest_success.replace("?", "ARRAY['a']"),
        POSTGRES_STATEMENTS.newest_runs.replace("?", "5"),
        POSTGRES_STATEMENTS.results_of_node.replace("?", "'a'", 1).replace("?", "5"),
    ]
    for text in texts:
        explain = "EXPLAIN " + text.format(names="latest.*", **quoted)
        plan = await (await connection.query(explain)).fetch()
        assert "Seq Scan on _sqlbuild_node_results" not in str(plan)
    await connection.close()
    await warehouse.close()
