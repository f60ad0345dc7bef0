"""Asks a weather service about every airport: eight async tasks made in a loop, at most three of them at a time."""

import anyio
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import AsyncTaskContext, task

WIND_KNOTS = {"AMS": 22, "ATH": 9, "DUB": 27, "HEL": 14, "LIS": 11, "OSL": 12, "PRG": 8, "ZRH": 6}

WEATHER = {}

for airport in WIND_KNOTS:

    @task(
        name=f"weather_{airport.lower()}",
        description=f"Wind at {airport}",
        group="weather",
        pool="weather_service",
        retry=RetryPolicy(max_attempts=3, retry_on=(ConnectionError,), initial_delay_seconds=0.2),
    )
    # The default binds this round's airport; without it every task would ask about the last one.
    async def weather(ctx: AsyncTaskContext, airport=airport):
        # Stands in for an HTTP call. While one task waits here, every other one goes on.
        await anyio.sleep(0.15)
        if airport == "DUB" and ctx.attempt == 1:
            raise ConnectionError("the weather service did not answer")
        return ctx.result({"airport": airport, "wind_knots": WIND_KNOTS[airport]})

    WEATHER[airport] = weather
