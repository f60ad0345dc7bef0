import os

import aiohttp
from sqlbuild.tasks import AsyncTaskContext, task


@task(tags=["registry"])
async def find_registry(ctx: AsyncTaskContext):
    """The address of the registry; skipped when none is given, and then the slices are only written."""
    url = os.environ.get("FLIGHTS_REGISTRY")
    if url is None:
        return ctx.skip("FLIGHTS_REGISTRY is not set; start one with: python service.py")
    async with aiohttp.ClientSession(url, raise_for_status=True) as registry, registry.get("/health"):
        return ctx.result({"url": url})
