"""What must hold for the models. A check runs as soon as what it looks at is built; `sqb check` runs them alone."""

from sqlbuild.checks import AsyncCheckContext, CheckContext, check
from sqlbuild.refs import model


@check(depends_on=(model("fact_flights"), model("stg_flights")))
async def no_flight_is_lost(ctx: AsyncCheckContext):
    """Joining the airports keeps every flight, and each of them once."""
    flights = await ctx.query(f"SELECT count(*) FROM {ctx.relation(model('fact_flights'))}").scalar()
    expected = await ctx.query(f"SELECT count(*) FROM {ctx.relation(model('stg_flights'))}").scalar()
    if flights != expected:
        return ctx.fail(f"{flights:,} flights instead of {expected:,}", metadata={"missing": expected - flights})
    return ctx.pass_(f"{flights:,} flights")


@check(depends_on=model("airport_delays"), severity="warn")
def delays_are_bearable(ctx: CheckContext):
    """Only warns: a bad month must not keep anybody from seeing it."""
    late = ctx.query(
        f"SELECT airport_name, average_delay FROM {ctx.relation(model('airport_delays'))} "
        "WHERE average_delay > ? ORDER BY average_delay DESC",
        [ctx.vars["bearable_minutes"]],
    ).fetchall()
    if late:
        return ctx.fail(f"departures of {late[0][0]} are {late[0][1]} minutes late", metadata={"airports": len(late)})
    return ctx.pass_()
