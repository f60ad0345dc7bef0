from sqlbuild.tasks import AsyncTaskContext, task

from assets.slices import SLICES
from tasks._registry import NO_REGISTRY, registered, registry_address
from tasks.registry_ready import registry_ready


@task(depends_on=[registry_ready, *SLICES], tags=["registry"])
async def reconcile_registry(ctx: AsyncTaskContext):
    """Fails unless the registry holds every slice that this run exported, with the same number of flights."""
    if registry_address() is None:
        return ctx.skip(NO_REGISTRY)
    results = [ctx.result_of(exported) for exported in SLICES]
    exported = {result.payload["slice"]: result.payload["flights"] for result in results if result.run_id == ctx.run_id}
    known = {summary["slice"]: summary["flights"] for summary in await registered(ctx.run_id)}
    wrong = sorted(name for name, flights in exported.items() if known.get(name) != flights)
    if wrong:
        raise ValueError(f"the registry does not agree on {len(wrong)} slices: {', '.join(wrong[:5])}")
    return ctx.result({"summaries": len(known), "flights": sum(known.values())})
