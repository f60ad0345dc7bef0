import anyio
from sqlbuild.tasks import AsyncTaskContext, task


@task
async def lost_luggage(ctx: AsyncTaskContext):
    """Fetches today's reports of lost luggage; usually there are none, and then it skips."""
    await anyio.sleep(0.1)
    reports: list[str] = []
    if not reports:
        # A soft skip blocks nothing: what depends on this task still runs if anything else it needs did.
        return ctx.skip("no luggage was lost today", mode="soft")
    return ctx.result({"reports": reports})
