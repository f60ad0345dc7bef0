from sqlbuild.assets import AssetContext, asset
from sqlbuild.refs import model, seed, source
from sqlbuild.tasks import TaskContext, task

for account in ("cash", "sales"):

    @asset(name=f"{account}_statement", depends_on=model("balances"), tags=["statements"])
    def statement(ctx: AssetContext, account=account):
        sql = f"SELECT account, cents FROM {ctx.relation(model('balances'))} WHERE account = '{account}'"
        return ctx.export(sql, f"exports/{account}.csv").rows


@task(depends_on=(source("raw_accounts"), seed("currencies")))
def count_what_there_is(ctx: TaskContext):
    accounts = ctx.query(f"SELECT COUNT(*) FROM {ctx.relation(source('raw_accounts'))}").scalar()
    return {
        "accounts": accounts,
        "currencies": len(ctx.query(f"SELECT * FROM {ctx.relation(seed('currencies'))}").fetchall()),
    }
