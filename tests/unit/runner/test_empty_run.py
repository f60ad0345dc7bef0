from __future__ import annotations

from sqlbuild.domain.events import RunFinished, RunStarted
from sqlbuild.runner.empty_run import record_empty_run
from sqlbuild.runner.execute_plan import execute_plan
from sqlbuild.testing import VirtualClock


async def test_a_run_without_nodes_is_told_and_kept_as_any_other(run_plan):
    ran, whole = [
        await run_plan({}, clock=VirtualClock(), carry_out=carry_out, pools={"service": 2}, dry_run=True)
        for carry_out in (record_empty_run, execute_plan)
    ]
    assert [type(event) for event in ran.events] == [RunStarted, RunFinished]
    assert (ran.result, ran.events) == (whole.result, whole.events)
    assert ran.journal.read() == whole.journal.read()
    assert ran.result.exit_code == 0
