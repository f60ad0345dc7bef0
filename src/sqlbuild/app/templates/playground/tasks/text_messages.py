"""Tells passengers that their flight was very late: many calls from one task, as fast as the gateway allows."""

import anyio
from sqlbuild.refs import model
from sqlbuild.retries import RetryAfter, RetryPolicy
from sqlbuild.tasks import AsyncTaskContext, task


@task(
    depends_on=model("fact_flights"),
    retry=RetryPolicy(max_attempts=3, retry_on=(RetryAfter,), initial_delay_seconds=0.1),
)
async def text_messages(ctx: AsyncTaskContext):
    """A text for each of the latest flights. The second attempt sends only those that the first one did not."""
    latest = await ctx.query(
        f"SELECT flight_id, delay_minutes FROM {ctx.relation(model('fact_flights'))} "
        "WHERE delay_minutes >= ? ORDER BY delay_minutes DESC, flight_id LIMIT 40",
        [ctx.vars["late_minutes"]],
    ).fetchall()

    async def send(flight):
        flight_id, delay_minutes = flight
        # Stands in for an HTTP call. A service that answers 429 with Retry-After pauses its pool in the same way.
        await anyio.sleep(0.05)
        if ctx.attempt == 1 and flight == latest[-1]:
            raise RetryAfter(0.3)
        return f"flight {flight_id} was {delay_minutes} minutes late, sorry"

    sent = await ctx.map(send, latest, pool="text_gateway", key=lambda flight: flight[0])
    return ctx.result({"sent": len(sent), "first": sent[0] if sent else None})
