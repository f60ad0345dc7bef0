"""Energy meters: readings that come late or wrong, prices that come later still, a backfill that goes on."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

at = datetime.fromisoformat
READINGS = "CREATE TABLE plant.readings (meter_id INTEGER, read_at TIMESTAMP, wh INTEGER, quality VARCHAR(8))"
LAST = at("2026-02-03 12:45")
LATE = [(3, at("2026-01-31 06:50"), 480), (1, at("2026-02-01 18:50"), 7)]


def readings_of(*days: str) -> list[tuple[int, datetime, int]]:
    """Two readings an hour of three meters, every six hours."""
    return [
        (meter, at(day) + timedelta(hours=hour, minutes=minute), 100 * meter + 10 * hour + at(day).day)
        for day, hour, minute, meter in itertools.product(days, (0, 6, 12, 18), (15, 45), (1, 2, 3))
    ]


def prices_of(last: str) -> dict[datetime, Decimal]:
    hours = (at("2026-01-30") + timedelta(hours=6 * each) for each in range(20))
    return {hour: Decimal("0.1") + Decimal(hour.hour) / 600 for hour in hours if hour <= at(last)}


@dataclasses.dataclass
class Expected:
    """What the tables hold by a calculation of our own, which takes windows as sets of whole hours or days."""

    hourly: dict[tuple[datetime, int], int] = dataclasses.field(default_factory=dict)
    steps: dict[datetime, int | None] = dataclasses.field(default_factory=dict)
    costs: dict[datetime, Decimal] = dataclasses.field(default_factory=dict)
    alarms: set[tuple[datetime, int]] = dataclasses.field(default_factory=set)
    seen: dict[datetime, tuple[int, int]] = dataclasses.field(default_factory=dict)

    def read(self, readings: Iterable[tuple[int, datetime, int]], since: str, until: str, *, factor: int = 1) -> None:
        hours: Counter[tuple[datetime, int]] = Counter()
        for meter, when, wh in readings:
            if at(since) <= when < at(until):
                hours[_hour(when), meter] += factor * wh
        kept = {key: wh for key, wh in self.hourly.items() if not at(since) <= key[0] < at(until)}
        self.hourly = {**kept, **hours}

    def step(self, since: str, until: str) -> None:
        totals: Counter[datetime] = Counter()
        for (hour, _), wh in self.hourly.items():
            totals[hour] += wh
        hours = sorted(hour for hour in totals if hour >= at(since) - timedelta(days=1))
        for before, hour in zip([None, *hours][: len(hours)], hours, strict=True):
            if at(since) <= hour < at(until):
                self.steps[hour] = None if before is None else totals[hour] - totals[before]

    def price(self, prices: dict[datetime, Decimal], since: str, until: str) -> None:
        for hour in prices:
            if at(since) <= hour < at(until):
                used = sum(wh for (when, _), wh in self.hourly.items() if when == hour)
                self.costs[hour] = (used * prices[hour].quantize(Decimal("0.0001")) / 1000).quantize(Decimal("0.0001"))

    def raise_alarms(self, readings: Iterable[tuple[int, datetime, int]], since: str, until: str) -> None:
        self.alarms |= {(when, meter) for meter, when, wh in readings if wh > 450 and at(since) <= when < at(until)}

    def see(
        self, readings: Iterable[tuple[int, datetime, int]], prices: Iterable[datetime], since: str, until: str
    ) -> None:
        read = Counter(_hour(when) for _, when, _ in readings if at(since) <= when < at(until))
        priced = Counter(hour for hour in prices if at(since) <= hour < at(until))
        self.seen |= {hour: (read[hour], priced[hour]) for hour in read | priced}

    @property
    def daily(self) -> list[tuple[datetime, int, Decimal]]:
        days: Counter[tuple[datetime, int]] = Counter()
        for (hour, meter), wh in self.hourly.items():
            days[_day(hour), meter] += wh
        return [(day, meter, Decimal(wh) / 1000) for (day, meter), wh in sorted(days.items())]

    @property
    def monthly(self) -> list[tuple[datetime, Decimal]]:
        months: defaultdict[datetime, Decimal] = defaultdict(Decimal)
        for day, _, kwh in self.daily:
            months[day.replace(day=1)] += kwh
        return sorted(months.items())


def _hour(when: datetime) -> datetime:
    return when.replace(minute=0, second=0)


def _day(when: datetime) -> datetime:
    return when.replace(hour=0, minute=0, second=0)


def check(plant, expected: Expected) -> None:
    hourly = plant.run("SELECT hour_at, meter_id, wh FROM meters.hourly_use ORDER BY 1, 2")
    assert hourly == [(hour, meter, wh) for (hour, meter), wh in sorted(expected.hourly.items())]
    steps = plant.run("SELECT hour_at, step FROM meters.use_steps ORDER BY 1")
    assert steps == sorted(expected.steps.items())
    assert plant.run("SELECT hour_at, cost FROM meters.hourly_cost ORDER BY 1") == sorted(expected.costs.items())
    assert plant.run("SELECT read_at, meter_id FROM meters.alarms ORDER BY 1, 2") == sorted(expected.alarms)
    seen = plant.run("SELECT hour_at, readings, prices FROM meters.hours_seen ORDER BY 1")
    assert seen == [(hour, *counts) for hour, counts in sorted(expected.seen.items())]
    assert plant.run("SELECT use_day, meter_id, kwh FROM meters.daily_use ORDER BY 1, 2") == expected.daily
    assert plant.run("SELECT use_month, kwh FROM meters.monthly_use ORDER BY 1") == expected.monthly


@pytest.fixture
def plant(copied):
    plant = copied("meters")
    plant.run("CREATE SCHEMA plant", READINGS)
    return plant


def insert(plant, readings: Iterable[tuple[int, datetime, int]]) -> None:
    values = ", ".join(f"({meter}, '{when}', {wh}, 'ok')" for meter, when, wh in readings)
    plant.run(f"INSERT INTO plant.readings VALUES {values}")


def write(plant, prices: dict[datetime, Decimal]) -> None:
    lines = [f"{hour:%Y-%m-%d %H:%M},{price:.4f}\n" for hour, price in prices.items()]
    (plant.root / "inbox").mkdir(exist_ok=True)
    (plant.root / "inbox/prices.csv").write_text("".join(lines))


def days_of_peaks(plant) -> list[int]:
    return [day.day for (day,) in plant.run("SELECT peak_day FROM meters.peaks ORDER BY 1")]


def test_use_and_costs_are_right_however_late_readings_come(plant):
    expected = Expected()
    first = readings_of("2026-01-30", "2026-01-31", "2026-02-01")
    prices = prices_of("2026-01-31 12:00")
    insert(plant, first)
    plant.run("INSERT INTO plant.readings VALUES (2, '2026-02-01 18:10', 99999, 'broken')")
    write(plant, prices)
    built = plant.build()
    warned = {name for name, status in built.items() if status == "warned"}
    assert warned == {"a_year_is_told"}
    assert set(built.values()) == {"succeeded", "warned"}
    expected.read(first, "2026-01-30", "2026-02-02")
    expected.step("2026-01-30 06:00", "2026-02-02")
    expected.price(prices, "2026-01-30", "2026-02-01")
    expected.raise_alarms(first, "2026-01-30", "2026-02-02")
    expected.see(first, prices, "2026-01-30", "2026-02-02")
    check(plant, expected)
    assert days_of_peaks(plant) == [30, 31]
    assert plant.run("SELECT * FROM meters.meters ORDER BY meter_id")[1:] == [
        (2, "Yard\t2", None, at("2025-12-01").date()),
        (3, None, 2000, at("2025-12-15").date()),
    ]
    assert plant.run("SELECT * FROM meters.yard") == [(2, None)]

    # Two days more, two readings that are late, and one that is impossible: the batch with it is not applied.
    second = [*readings_of("2026-02-02", "2026-02-03"), *LATE]
    insert(plant, second)
    plant.run(f"UPDATE plant.readings SET wh = -9000 WHERE meter_id = 3 AND read_at = '{LAST}'")
    prices = prices_of("2026-02-02 00:00")
    write(plant, prices)
    stopped = plant.build(code=1)
    assert {name for name, status in stopped.items() if status == "failed"} == {"hourly_use"}
    assert "nothing_flows_back" in plant.message("hourly_use")
    readings = [*first, *second]
    expected.read(readings, "2026-02-01 18:00", "2026-02-02 18:00")
    hourly = plant.run("SELECT hour_at, meter_id, wh FROM meters.hourly_use ORDER BY 1, 2")
    assert hourly == [(hour, meter, wh) for (hour, meter), wh in sorted(expected.hourly.items())]
    assert plant.run("SELECT COUNT(*) FROM meters.use_steps") == [(len(expected.steps),)]

    # It is mended; the run goes on.
    plant.run(f"UPDATE plant.readings SET wh = 423 WHERE meter_id = 3 AND read_at = '{LAST}'")
    assert set(plant.build(command="retry").values()) == {"succeeded", "warned"}
    expected.read(readings, "2026-02-02 18:00", "2026-02-04")
    expected.step("2026-02-01 18:00", "2026-02-04")
    expected.price(prices, "2026-01-31 12:00", "2026-02-03")
    expected.raise_alarms(readings, max(expected.alarms)[0].isoformat(), "2026-02-04")
    expected.see(readings, prices, "2026-02-01 06:00", "2026-02-04")
    check(plant, expected)
    assert days_of_peaks(plant) == [30, 31, 1]

    # The day of the reading that came too late is built again on purpose, in all that is made of it.
    plant.build("stg_readings+", "--no-tests", "--start-cursor", "2026-01-31", "--end-cursor", "2026-02-01")
    expected.read(readings, "2026-01-31", "2026-02-01")
    expected.step("2026-01-31", "2026-02-01")
    expected.price(prices, "2026-01-31", "2026-02-01")
    expected.raise_alarms(readings, "2026-01-31", "2026-02-01")
    expected.see(readings, prices, "2026-01-31", "2026-02-01")
    check(plant, expected)

    # A changed model replays its last day; those that read it take their own windows, and one gets a new column.
    plant.change(
        "models/use/hourly_use.sql", ('@py.summed("r.wh")', '2 * @py.summed("r.wh")'), ("wh < 1200", "wh < 2400")
    )
    plant.change("models/use/daily_use.sql", ("AS kwh", "AS kwh, MAX(hour_at) AS last_hour"))
    plant.build("hourly_use+", "--changed", "--no-tests")
    expected.read(readings, "2026-02-02 19:00", "2026-02-04", factor=2)
    expected.step("2026-02-03 18:00", "2026-02-04")
    check(plant, expected)
    assert plant.run("SELECT DISTINCT use_day FROM meters.daily_use WHERE last_hour IS NOT NULL ORDER BY 1") == [
        (at("2026-02-02"),),
        (at("2026-02-03"),),
    ]

    # Everything anew, but for what wants to stay.
    plant.build("--full-refresh", "--no-tests", "--no-load", "--max-microbatches", "99")
    expected.read(readings, "2026-01-30", "2026-02-04", factor=2)
    expected.steps.clear()
    expected.step("2026-01-30 06:00", "2026-02-04")
    expected.price(prices, "2026-01-30", "2026-02-03")
    expected.see(readings, prices, "2026-01-30", "2026-02-04")
    check(plant, expected)
    months = [json.loads(line)["kwh"] for line in (plant.root / "exports/months.jsonl").read_text().splitlines()]
    assert months == [float(kwh) for _, kwh in expected.monthly]
    assert days_of_peaks(plant) == [30, 31, 1, 2, 3]
