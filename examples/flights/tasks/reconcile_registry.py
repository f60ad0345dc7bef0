import aiohttp
from sqlbuild.tasks import AsyncTaskContext, task

from assets.slices import SLICES
from tasks.find_registry import find_registry


@task(depends_on=[find_registry, *SLICES], requires="all", tags=["registry"])
async def reconcile_registry(ctx: AsyncTaskContext):
    """Fails unless the registry holds a summary of every slice of this run, with the same number of flights."""
    written = {ctx.result_of(slice_).payload["slice"]: ctx.result_of(slice_).payload["flights"] for slice_ in SLICES}
    async with aiohttp.ClientSession(ctx.result_of(find_registry).payload["url"], raise_for_status=True) as registry:
        async with registry.get("/summaries", params={"run_id": ctx.run_id}) as response:
            registered = {summary["slice"]: summary["flights"] for summary in await response.json()}
    wrong = sorted(name for name in written if registered.get(name) != written[name])
    if wrong:
        raise ValueError(f"the registry does not agree on {len(wrong)} slices: {', '.join(wrong[:5])}")
    return ctx.result({"summaries": len(registered), "flights": sum(registered.values())})
