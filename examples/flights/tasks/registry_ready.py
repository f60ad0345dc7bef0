import aiohttp
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import AsyncTaskContext, task

from tasks._registry import NO_REGISTRY, registry_address


@task(tags=["registry"], timeout=5, retry=RetryPolicy(max_attempts=3, retry_on=(aiohttp.ClientError, TimeoutError)))
async def registry_ready(ctx: AsyncTaskContext):
    """Asks the registry whether it is there; without one the slices are written all the same."""
    address = registry_address()
    if address is None:
        return ctx.skip(NO_REGISTRY)
    async with aiohttp.ClientSession(address, raise_for_status=True) as registry, registry.get("/health"):
        return ctx.result(metadata={"address": address})
