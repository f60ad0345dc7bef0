"""One file of departures per airport: eight async assets made in a loop."""

from pathlib import Path

from sqlbuild.assets import AsyncAssetContext, asset
from sqlbuild.refs import model

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
        path = Path(ctx.result_of(exports_folder).payload["path"]) / f"departures_{airport}.csv"
        # DuckDB writes the rows into a temporary file, which then replaces the old one: nobody ever sees half of it.
        # The airport is one of this file's own, so it may stand in the text; a query with parameters binds them.
        exported = await ctx.export(
            f"SELECT {', '.join(COLUMNS)} FROM {ctx.relation(model('fact_flights'))} "
            f"WHERE origin = '{airport}' AND NOT is_cancelled ORDER BY 1, 2",
            path,
        )
        # An asset that has exported a file counts as materialized.
        return ctx.result(
            {
                "file": path.name,
                "flights": exported.rows,
                "wind_knots": ctx.result_of(weather).payload["wind_knots"],
            }
        )

    DEPARTURES[airport] = departures
