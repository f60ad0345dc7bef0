from sqlbuild.assets import AssetContext, asset
from sqlbuild.checks import CheckContext, check
from sqlbuild.refs import model
from sqlbuild.tasks import AsyncTaskContext, task


@asset(depends_on=model("clinician_days"))
def fees_file(ctx: AssetContext):
    fees = ctx.relation(model("clinician_days"))
    written = ctx.export(
        f"SELECT clinician, CAST(SUM(fees) AS DECIMAL(12, 2)) AS fees FROM {fees} GROUP BY clinician ORDER BY clinician",
        "exports/fees.csv",
    )
    return ctx.result(payload={"clinicians": written.rows})


@task(depends_on=(fees_file, model("visits")))
async def tell_the_office(ctx: AsyncTaskContext):
    visits = await ctx.query(f"SELECT COUNT(*) FROM {ctx.relation(model('visits'))}").scalar()
    return {"visits": visits, "clinicians": ctx.result_of(fees_file).payload["clinicians"]}


@check(depends_on=fees_file)
def somebody_earns(ctx: CheckContext):
    return ctx.result_of(fees_file).payload["clinicians"] > 0
