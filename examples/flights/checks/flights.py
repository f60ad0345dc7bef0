from sqlbuild.checks import CheckContext, check
from sqlbuild.refs import model

EXPECTED_FLIGHTS = 336_776


@check(depends_on=model("fact_flights"))
def all_flights_are_there(ctx: CheckContext):
    """The year has as many flights as the data set says, and none of them twice."""
    relation = ctx.relation(model("fact_flights"))
    flights = ctx.query(f"SELECT count(*) FROM {relation}").scalar()
    if flights != EXPECTED_FLIGHTS:
        return ctx.fail(f"{flights:,} flights instead of {EXPECTED_FLIGHTS:,}", metadata={"flights": flights})
    return ctx.pass_(f"{flights:,} flights")


@check(depends_on=model("fact_flights"), severity="warn")
def delays_are_known(ctx: CheckContext):
    """Flights that flew should say how late they arrived; a few never do."""
    relation = ctx.relation(model("fact_flights"))
    unknown, flights = ctx.query(
        f"SELECT count(*) FILTER (WHERE dep_delay IS NOT NULL AND arr_delay IS NULL), count(*) FROM {relation}"
    ).fetchone()
    message = f"{unknown:,} of {flights:,} flights departed and have no delay of arrival"
    return ctx.fail(message, metadata={"unknown": unknown}) if unknown else ctx.pass_()
