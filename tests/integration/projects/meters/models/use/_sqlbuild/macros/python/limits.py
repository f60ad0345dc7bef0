def alarm_limit(ctx) -> str:
    return str(ctx.vars["alarm_above"])
