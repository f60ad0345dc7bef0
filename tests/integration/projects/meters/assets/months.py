from sqlbuild.assets import AsyncAssetContext, asset
from sqlbuild.refs import model


@asset(
    depends_on=model("monthly_use"),
    columns=[{"name": "kwh"}],
    column_lineage={"kwh": [{"node": "monthly_use", "column": "kwh"}]},
)
async def months_file(ctx: AsyncAssetContext):
    relation = ctx.relation(model("monthly_use"))
    written = await ctx.export(f"SELECT kwh FROM {relation} ORDER BY use_month", "exports/months.jsonl")
    return ctx.result(payload=written.rows)
