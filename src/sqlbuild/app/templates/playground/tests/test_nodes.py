"""Run `pytest` in the project's folder. The first tests run one node each, the last one a copy of the whole project."""

from pathlib import Path

from sqlbuild.refs import model
from sqlbuild.testing import Status, VirtualClock, run_node

from assets.late_flights import late_flights
from loaders.bookings import fare_classes
from tasks.exports_folder import exports_folder
from tasks.lost_luggage import lost_luggage
from tasks.weather import WEATHER

FLIGHTS = [
    {"origin_name": "Oslo", "destination_name": "Dublin", "delay_minutes": 15},
    {"origin_name": "Oslo", "destination_name": "Dublin", "delay_minutes": 40},
    {"origin_name": "Lisbon", "destination_name": "Athens", "delay_minutes": 14},
    {"origin_name": "Athens", "destination_name": "Lisbon", "delay_minutes": None},
]


def test_late_flights_are_counted_by_route(tmp_path):
    run = run_node(
        late_flights,
        results={exports_folder: {"path": tmp_path}},
        relations={model("fact_flights"): FLIGHTS},
        vars={"late_minutes": 15},
        exports=tmp_path,
    )
    assert run.payload == {"file": "late_flights.csv", "routes": 1}
    assert (tmp_path / "late_flights.csv").read_text().splitlines() == ["route,late_flights", "Oslo to Dublin,2"]
    assert run.materialized is True


def test_no_lost_luggage_is_a_skip():
    run = run_node(lost_luggage)
    assert run.status is Status.SKIPPED
    assert run.skip_reason == "no luggage was lost today"


def test_the_weather_of_dublin_is_asked_for_twice():
    clock = VirtualClock()
    run = run_node(WEATHER["DUB"], retry=True, clock=clock)
    assert run.attempts == 2
    assert run.payload == {"airport": "DUB", "wind_knots": 27}
    # The delay of the retry policy; none of it is really waited for.
    assert clock.monotonic() == 0.2


def test_every_fare_has_a_price():
    run = run_node(fare_classes)
    assert {row["fare"]: row["price"] for row in run.rows} == {"light": 79, "flex": 149, "business": 390}


def test_the_whole_project_builds(sqb_project):
    project = sqb_project(Path(__file__).parent.parent)
    project.build()
    assert project.statuses()["dashboard"] == "succeeded"
    assert project.query("SELECT count(*) FROM dev.airport_delays") == [(8,)]
    assert project.query("SELECT count(DISTINCT booked_on) FROM dev.raw_bookings") == [(10,)]
