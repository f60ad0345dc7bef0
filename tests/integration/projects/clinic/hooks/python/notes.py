from sqlbuild.hooks import AsyncHookContext, hook


@hook
async def note(ctx: AsyncHookContext, word: str) -> None:
    bookings = await ctx.query(f"SELECT COUNT(*) FROM {ctx.destination.qualified}").scalar()
    await ctx.execute_sql("INSERT INTO hospital.build_log VALUES (?, ?, ?)", [word, ctx.model_name, bookings])
