"""One asset per carrier and month that had flights: 185 of them, made in a loop."""

import aiohttp
from sqlbuild.assets import AsyncAssetContext, asset
from sqlbuild.refs import model
from sqlbuild.retries import RetryPolicy

from providers.registry_client import RegistryClient
from tasks.registry_ready import registry_ready

ALL_YEAR = "9E AA AS B6 DL EV F9 FL HA MQ UA US VX WN YV".split()
MONTHS = {**{carrier: range(1, 13) for carrier in ALL_YEAR}, "OO": (1, 6, 8, 9, 11)}
COLUMNS = ["flight_date", "flight_number", "tailnum", "origin", "dest", "dep_delay", "arr_delay", "celsius", "rain_mm"]

SLICES = []

for carrier, months in MONTHS.items():
    for month in months:

        @asset(
            name=f"slice_{carrier.lower()}_{month:02}",
            depends_on=(model("fact_flights"), registry_ready),
            requires="none_failed",  # without a registry the slices are written all the same
            description=f"Flights of {carrier} in month {month} of 2013 as CSV, with its summary in the registry",
            group="slices",
            tags=["slice", f"carrier_{carrier.lower()}"],
            columns=[{"name": column} for column in COLUMNS],
            column_lineage={column: [{"node": "fact_flights", "column": column}] for column in COLUMNS},
            retry=RetryPolicy(max_attempts=5, retry_on=(aiohttp.ClientError,), initial_delay_seconds=0.2),
        )
        # The defaults bind this round's values: each of the functions keeps its own carrier and month.
        async def export_slice(ctx: AsyncAssetContext, registry_client: RegistryClient, carrier=carrier, month=month):
            # The values are this file's own, so they may stand in the text. No row passes through this function.
            exported = await ctx.export(
                f"SELECT {', '.join(COLUMNS)} FROM {ctx.relation(model('fact_flights'))} "
                f"WHERE carrier = '{carrier}' AND month = {month} "
                "ORDER BY flight_date, scheduled_hour, flight_number, origin",
                f"exports/{ctx.target}/2013-{month:02}/{carrier}.csv",
            )
            summary = {"slice": ctx.node_name, "flights": exported.rows, "bytes": exported.bytes}
            # Only the call is limited, so queries and files go on while others wait for the registry.
            async with ctx.pool("registry"):
                receipt = await registry_client.register({**summary, "run_id": ctx.run_id})
            return ctx.result(
                payload={**summary, "carrier": carrier, "month": month, "path": exported.path},
                metadata={"receipt": receipt, "sha256": exported.sha256},
            )

        SLICES.append(export_slice)
