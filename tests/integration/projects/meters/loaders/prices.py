from pathlib import Path

import anyio

from sqlbuild.loaders import AsyncLoaderContext, loader


@loader
async def raw_prices(ctx: AsyncLoaderContext):
    text = await anyio.Path(Path("inbox/prices.csv")).read_text()
    known = "" if ctx.current_cursor_value is None else ctx.current_cursor_value.isoformat(sep=" ", timespec="minutes")
    for line in text.splitlines():
        hour_at, price = line.split(",")
        if hour_at > known:
            yield {"hour_at": hour_at, "price": price}
