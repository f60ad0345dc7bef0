"""One file of departures per airport: eight async assets made in a loop."""

from pathlib import Path

import anyio
from sqlbuild.assets import AsyncAssetContext, asset
from sqlbuild.refs import model

from assets._files import as_csv, write_if_changed
from tasks.exports_folder import exports_folder
from tasks.weather import WEATHER

COLUMNS = ("flight_date", "flight_id", "destination_name", "passengers", "delay_minutes")

DEPARTURES = {}

for airport, weather in WEATHER.items():

    @asset(
        name=f"departures_{airport.lower()}",
        description=f"Every departure from {airport} as CSV",
        depends_on=(model("fact_flights"), exports_folder, weather),
        group="departures",
        tags=["export"],
        columns=[{"name": column} for column in COLUMNS],
        column_lineage={column: [{"node": "fact_flights", "column": column}] for column in COLUMNS},
    )
    async def departures(ctx: AsyncAssetContext, airport=airport, weather=weather):
        relation = ctx.relation(model("fact_flights"))
        rows = await ctx.query(
            f"SELECT {', '.join(COLUMNS)} FROM {relation} WHERE origin = ? AND NOT is_cancelled ORDER BY 1, 2",
            [airport],
        ).fetchall()
        path = Path(ctx.result_of(exports_folder).payload["path"]) / f"departures_{airport}.csv"
        # Writing a file blocks, so it goes to a thread; the event loop stays free for the others.
        written = await anyio.to_thread.run_sync(write_if_changed, path, as_csv(COLUMNS, rows))
        payload = {
            "file": path.name,
            "flights": len(rows),
            "wind_knots": ctx.result_of(weather).payload["wind_knots"],
        }
        # materialized=False says: it ran, and there was nothing new to write. That is no skip.
        return ctx.result(payload, materialized=written)

    DEPARTURES[airport] = departures
