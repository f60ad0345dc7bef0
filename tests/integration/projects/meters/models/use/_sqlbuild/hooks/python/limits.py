from sqlbuild.hooks import HookContext, hook


@hook
def only_with_a_limit(ctx: HookContext):
    if "alarm_above" not in ctx.vars:
        return ctx.skip(reason="nobody has said what is too much")
    return None
