"""The flights example on a few made-up flights: what it builds on PostgreSQL is what it builds on DuckDB."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import duckdb
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
FLIGHTS = 1_320
CARRIERS = ("AA", "UA", "VX")
TABLES = (
    *("raw_flights", "raw_airlines", "raw_airports", "raw_planes", "raw_weather"),
    *("stg_flights", "stg_airlines", "stg_airports", "stg_planes", "stg_weather", "fact_flights"),
    *("airport_delays", "carrier_month", "daily_traffic", "fleet", "route_summary", "weather_impact"),
)
FILES = {
    "airlines": "carrier,name\nAA,American Airlines Inc.\nUA,United Air Lines Inc.\nVX,Virgin America\n",
    "airports": "faa,name,lat,lon,alt,tz,dst,tzone\n"
    'LAX,"Los Angeles, ""Intl""",33.942536,-118.408075,126,-8,A,America/Los_Angeles\n'
    "IAH,George Bush,29.984433,-95.341442,97,NA,NA,NA\n",
    "planes": "tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n"
    "N1,1999,Fixed wing,AIRBUS,A320,2,182,NA,Turbo-fan\nN2,NA,Fixed wing,BOEING,737,2,149,432,Turbo-jet\n",
}
HEADERS = {
    "flights": "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay carrier flight tailnum "
    "origin dest air_time distance hour minute time_hour",
    "weather": "origin year month day hour temp dewp humid wind_dir wind_speed wind_gust precip pressure visib time_hour",
}


def flights():
    """A hundred and ten for each carrier and airport in each of two hours; every ninth was cancelled."""
    for number in range(FLIGHTS):
        hour = 6 + number % 2
        flew = number % 9 > 0
        delay = (number * 7) % 83 - 20
        times = (
            (hour * 100 + 5, hour * 100, delay, 1000, 950, delay + number % 3)
            if flew
            else ("NA", hour * 100, *["NA"] * 4)
        )
        dep_time, scheduled, dep_delay, arr_time, sched_arr_time, arr_delay = times
        carrier = CARRIERS[number // 2 % 3]
        origin = ("EWR", "JFK")[number // 6 % 2]
        month, day = 1 + number % 11 % 2, 1 + number // 60
        yield (
            2013, month, day, dep_time, scheduled, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, number,
            ("N1", "N2", "N3", "NA")[number % 4], origin, ("LAX", "IAH", "BQN")[number % 3], number % 300 if flew else "NA",
            1400 + number % 3, hour, 0, f"2013-{month:02}-{day:02}T{hour + 5:02}:00:00Z",
        )  # fmt: skip


def weather():
    for number in range(80):
        day, hour = 1 + number // 4, 6 + number % 2
        yield (
            ("EWR", "JFK")[number // 2 % 2], 2013, 1, day, hour, round(number * 0.9 - 10.98, 2), 20, "NA", 10 * (number % 36),
            3.45234 * (number % 9), "NA", number % 5 * 0.01, 1012.5, 10 - number % 4,
            f"2013-01-{day:02}T{hour + 5:02}:00:00Z",
        )  # fmt: skip


@pytest.fixture
def example(project):
    """The project as it stands, with as many flights as its check expects and with slices for their carriers."""
    unwanted = shutil.ignore_patterns("data", "exports", "target", "*.duckdb*", "__pycache__", ".*")
    shutil.copytree(EXAMPLE, project.root, ignore=unwanted, dirs_exist_ok=True)
    slices = project.root / "assets/slices.py"
    wanted = "MONTHS = " + repr(dict.fromkeys(CARRIERS, (1, 2)))
    lines = [wanted if line.startswith("MONTHS = ") else line for line in slices.read_text().splitlines()]
    slices.write_text("\n".join(lines))
    check = project.root / "checks/flights.py"
    check.write_text(check.read_text().replace("336_776", str(FLIGHTS)))
    made = {name: [HEADERS[name].split(), *rows()] for name, rows in (("flights", flights), ("weather", weather))}
    texts = {name: "".join(",".join(map(str, row)) + "\n" for row in rows) for name, rows in made.items()}
    return project.write({f"data/{name}.csv": text for name, text in {**FILES, **texts}.items()})


async def tables_of(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        return {name: set(map(tuple, await connection.fetch(f"SELECT * FROM flights.{name}"))) for name in TABLES}
    finally:
        await connection.close()


def test_postgresql_builds_the_same_tables_and_the_same_files(example, postgres_url):
    example.build("--select", "+tag:marts", "+tag:slice", "--quiet")
    example.build("-t", "postgres", env={"FLIGHTS_POSTGRES": postgres_url})

    with duckdb.connect(str(example.root / "flights.duckdb"), read_only=True) as connection:
        ours = {name: set(connection.execute(f"FROM dev.{name}").fetchall()) for name in TABLES}
    theirs = asyncio.run(tables_of(postgres_url))
    assert {name: rows ^ ours[name] for name, rows in theirs.items() if rows != ours[name]} == {}
    assert len(ours["raw_flights"]) == len(ours["fact_flights"]) == FLIGHTS

    files = {path.relative_to(example.root / "exports/dev") for path in (example.root / "exports/dev").rglob("*.csv")}
    assert len(files) == 6
    for path in files:
        written = (example.root / "exports/postgres" / path).read_bytes()
        assert written == (example.root / "exports/dev" / path).read_bytes()
        assert written.count(b"\n") > 100
    page = (example.root / "exports/postgres/dashboard.html").read_text()
    assert "<b>1,320</b><span>flights</span>" in page
    assert (example.root / "exports/postgres/delays.png").read_bytes().startswith(b"\x89PNG")
