"""What the runner hands on of a node that knows a secret: results, errors and checkpoints, in this run and later."""

from __future__ import annotations

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.masking import Masker
from sqlbuild.retries import RetryPolicy
from sqlbuild.runner import ledger
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.tasks import task

SECRET = "s3cret!"


async def test_a_dependent_reads_what_is_stored(run_plan):
    @task
    def gives(ctx):
        return ctx.result({"token": SECRET}, metadata=[SECRET])

    @task(depends_on=gives)
    async def reads(ctx):
        seen = ctx.result_of(gives)
        return [seen.payload["token"] == SECRET, seen.payload, seen.metadata]

    ran = await run_plan({gives: (), reads: (gives,)}, masker=Masker([SECRET]))
    assert ran.result["reads"].payload == [False, {"token": "****"}, ["****"]]
    assert SECRET not in repr(ran.journal.read())
    assert SECRET not in repr(ran.result.records)


async def test_a_result_whose_text_is_not_kept_is_encoded_anew_as_it_was_written(run_plan, monkeypatch):
    monkeypatch.setattr(ledger, "MOST_TEXTS", 1)

    @task
    def first(ctx):
        return SECRET

    @task(depends_on=first)
    def second(ctx):
        return ctx.result({"token": SECRET}, metadata=[SECRET])

    ran = await run_plan({first: (), second: (first,)}, masker=Masker([SECRET]))
    assert list(ran.result.records) == ["task:first"]
    written = ran.journal.read().records["task:second"]
    assert result_to_json(ran.result.results["task:second"]) == written
    assert SECRET not in written


async def test_a_retried_error_is_masked_wherever_it_is_told(run_plan):
    @task(retry=RetryPolicy(max_attempts=2, initial_delay_seconds=0.0))
    def fails(ctx):
        raise OSError(f"no {SECRET}")

    ran = await run_plan({fails: ()}, masker=Masker([SECRET]))
    assert ran.result["fails"].error.message == "no ****"
    assert [error.message for error in ran.result["fails"].retried] == ["no ****"]
    assert SECRET not in repr(ran.journal.read())
    assert SECRET not in repr([event for event in ran.events if type(event).__name__ == "NodeRetrying"])


async def test_a_checkpoint_is_masked_for_the_next_attempt_as_for_a_resumed_run(run_plan):
    seen = []

    @task(retry=RetryPolicy(max_attempts=2, initial_delay_seconds=0.0))
    def keeps(ctx):
        if ctx.attempt == 1:
            ctx.checkpoint(f"page of {SECRET}", {"token": SECRET})
            raise OSError
        seen.append(dict(ctx.checkpoints))

    ran = await run_plan({keeps: ()}, masker=Masker([SECRET]))
    assert seen == [{"page of ****": {"token": "****"}}]
    kept = ran.journal.read().checkpoints[NodeId("task:keeps")]
    assert kept.texts == {"": {"page of ****": '{"token":"****"}'}}
