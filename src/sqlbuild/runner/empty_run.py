"""A run without nodes: it is announced and written down, and loads nothing that runs nodes."""

from __future__ import annotations

from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import RunResult
from sqlbuild.runner.ledger import conclude_run
from sqlbuild.runner.run_facts import run_result, run_started
from sqlbuild.runner.run_order import RunOrder, RunServices


async def record_empty_run(plan: Plan, order: RunOrder, services: RunServices) -> RunResult:
    """What `execute_plan` does with a plan that has no steps. Raises EngineError if the run cannot be written down."""
    assert not plan.steps
    started_at = services.clock.now()
    services.publish(run_started(plan, order, started_at))
    result = run_result(
        plan,
        {},
        run_id=order.run_id,
        started_at=started_at,
        finished_at=services.clock.now(),
        stopped_by=None,
        records={},
        left_running=(),
        dry_run=order.dry_run,
    )
    await conclude_run(result, services)
    return result
