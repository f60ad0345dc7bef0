"""What is known of a target without opening it, while a run goes on and after."""

from __future__ import annotations

import os
import time

import pytest

from sqlbuild.app.live_runs import LiveRuns, known_of, live_runs
from sqlbuild.app.opening import close_project, open_project
from sqlbuild.app.options import ProjectOptions
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.past import Past
from sqlbuild.domain.results import NodeResult, RunResult, Status
from sqlbuild.state.journal import FileJournal
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.state.past_file import write_past
from sqlbuild.state.target_lock import FileTargetLock

FIRST, SECOND = NodeId("task:first"), NodeId("task:second")


@pytest.fixture
def compiled(tmp_path):
    (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "t.py").write_text(
        "from sqlbuild.tasks import task\n@task\ndef first(ctx): ...\n@task\ndef second(ctx): ...\n"
    )
    yield open_project(ProjectOptions(root=str(tmp_path)))
    close_project(str(tmp_path))


@pytest.fixture
def lock(tmp_path):
    lock = FileTargetLock(str(tmp_path / "shop.duckdb"))
    assert lock.take()
    yield lock
    lock.release()


def result(node, run_id, status=Status.SUCCEEDED):
    name = node.partition(":")[2]
    return NodeResult(run_id=run_id, node_id=node, kind=NodeKind.TASK, name=name, status=status, attempt=1)


@pytest.fixture
def journal(tmp_path):
    journal = FileJournal(str(tmp_path / "target" / "runs" / "r2"), run_id="r2", target="dev")
    journal.started(FIRST, 1, 1.0)
    journal.finished(result_to_json(result(FIRST, "r2", Status.FAILED)))
    journal.finished(result_to_json(result(NodeId("task:removed"), "r2")))
    journal.started(SECOND, 2, 2.0)
    yield journal
    journal.close()


def stored(compiled, tmp_path, run_id="r1"):
    results = {node: result(node, run_id) for node in (FIRST, SECOND)}
    run = RunResult(run_id=run_id, target="dev", started_at=0.0, finished_at=1.0, results=results, exit_code=0)
    write_past(str(tmp_path / "target" / "state.json"), Past().after(run, compiled.graph), run)


def test_what_a_run_has_done_so_far_comes_before_what_was_known(compiled, tmp_path, lock, journal):
    stored(compiled, tmp_path)
    lock.tell(command="sqb build", target="dev", run_id="r2")
    known = known_of(compiled)
    assert known.live is not None
    assert (known.live.run_id, list(known.live.done), known.live.at_work) == ("r2", [FIRST], {SECOND: 2})
    assert known.past.last_run_id == "r2"
    assert known.past.last_run() == {FIRST: Status.FAILED}
    assert known.past.nodes[FIRST].last_success_run_id == "r1"
    assert [(found.run_id, found.status) for found in known.results[FIRST]] == [("r2", "failed"), ("r1", "succeeded")]
    assert [found.run_id for found in known.results[SECOND]] == ["r1"]
    assert list(known.results) == [FIRST, SECOND]
    assert len(known.results) == 2
    assert known.results.get(NodeId("task:none")) is None


@pytest.mark.parametrize("why", ["freed", "another target", "no run yet", "stored by now"])
def test_what_does_not_go_on_in_this_target_is_not_shown(compiled, tmp_path, lock, journal, why):
    stored(compiled, tmp_path, "r2" if why == "stored by now" else "r1")
    target, run_id = "prod" if why == "another target" else "dev", None if why == "no run yet" else "r2"
    lock.tell(command="sqb build", target=target, run_id=run_id)
    if why == "freed":
        lock.release()
        (tmp_path / "shop.duckdb.lock").write_text('{"pid": 1}')
    known = known_of(compiled)
    assert known.live is None
    assert known.past.last_run_id == ("r2" if why == "stored by now" else "r1")


def test_a_run_in_another_copy_of_the_project_is_told_without_its_nodes(compiled, lock):
    lock.tell(command="sqb build", target="dev", run_id="r9")
    live = known_of(compiled).live
    assert live is not None
    assert (live.run_id, live.done, live.at_work, live.holder.pid) == ("r9", {}, {}, os.getpid())


def test_runs_that_go_on_are_named_for_whoever_cleans(compiled, lock):
    settings = compiled.project.settings
    assert live_runs(settings) == LiveRuns(run_ids=frozenset(), untold=frozenset())
    lock.tell(command="sqb build", target="dev", run_id="r2")
    assert live_runs(settings).run_ids == {"r2"}
    lock.release()
    assert live_runs(settings) == LiveRuns(run_ids=frozenset(), untold=frozenset())


def test_what_was_cut_off_before_a_run_was_gone_on_with_is_not_at_work(compiled, lock, journal):
    journal.resumed("r2", {})
    journal.started(FIRST, 2, time.time())
    lock.tell(command="sqb retry", target="dev", run_id="r2")
    known = known_of(compiled)
    assert known.live is not None
    assert known.live.at_work == {FIRST: 2}
