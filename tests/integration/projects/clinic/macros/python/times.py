def service_day(ctx, expression: str) -> str:
    """Who comes at night belongs to the day before."""
    hours = ctx.vars["night_ends_at"]
    if ctx.adapter_name == "postgres":
        return f"(({expression}) - make_interval(hours => {hours}))::date"
    return f"CAST(({expression}) - to_hours({hours}) AS DATE)"
