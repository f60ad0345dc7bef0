"""The booking system hands out its bookings page by page; what is loaded is a source for models."""

import datetime

import anyio
from sqlbuild.loaders import AsyncLoaderContext, loader

FIRST_DAY = datetime.date(2025, 12, 1)
DAYS_A_RUN = 10


@loader
def fare_classes():
    """A small table that only the loader below reads; it has no source of its own."""
    return [{"fare": "light", "price": 79}, {"fare": "flex", "price": 149}, {"fare": "business", "price": 390}]


@loader(depends_on=fare_classes)
async def raw_bookings(ctx: AsyncLoaderContext):
    """Ten days of bookings, more at each run: how they get into their table stands in sources/bookings.yml."""
    fares = await ctx.query(f"SELECT fare, price FROM {ctx.loader(fare_classes).destination}").fetchall()
    loaded = None if ctx.is_reload else ctx.current_cursor_value
    # The last day that is there is asked for again: it may not have been over.
    first = FIRST_DAY if loaded is None else loaded
    for day in range(DAYS_A_RUN):
        await anyio.sleep(0.02)  # a real loader waits for its service here
        yield bookings_of(first + datetime.timedelta(days=day), fares)


def bookings_of(day: datetime.date, fares: list[tuple[str, int]]) -> list[dict[str, object]]:
    """A page of the booking system; dicts and lists in it become JSON."""
    return [
        {
            "booking_id": f"{day:%y%m%d}-{number}",
            "booked_on": day,
            "flight_id": 1 + (number * 37 + day.toordinal()) % 20_000,
            "fare": fares[number % len(fares)][0],
            "price": fares[number % len(fares)][1],
            "extras": {"bags": number % 3, "seat": f"{1 + number % 30}{'ABCDEF'[number % 6]}"},
        }
        for number in range(200)
    ]
