"""A clinic: appointments that are booked, happen late and are corrected, patients from a file, fees."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

at = datetime.fromisoformat
SCHEMA = """
    CREATE TABLE hospital.appointments (
      id INTEGER, patient_id INTEGER, clinician VARCHAR(10), starts_at TIMESTAMP, minutes INTEGER, status VARCHAR(10),
      booked_at TIMESTAMP
    )
"""
DAY_1 = """
    INSERT INTO hospital.appointments VALUES
      (1, 101, 'ruiz', '2026-03-02 09:00', 30, 'done', '2026-02-20 10:00'),
      (2, 102, 'ruiz', '2026-03-02 10:00', 45, 'done', '2026-02-21 11:30'),
      (3, 101, 'khan', '2026-03-02 14:00', 60, 'missed', '2026-02-25 08:00'),
      (4, 103, 'khan', '2026-03-03 09:00', 20, 'done', '2026-03-01 16:00'),
      (5, 102, 'mori', '2026-03-04 11:00', 90, 'booked', '2026-03-03 09:00')
"""
DAY_2 = (
    # One of yesterday's, which the lookback reaches, and one of before, which it does not.
    "UPDATE hospital.appointments SET status = 'done' WHERE id = 5",
    "UPDATE hospital.appointments SET minutes = 35 WHERE id = 1",
    """INSERT INTO hospital.appointments VALUES
      (6, 103, 'ruiz', '2026-03-05 02:30', 60, 'done', '2026-03-04 12:00'),
      (7, 104, 'khan', '2026-03-05 09:00', 15, 'no idea', '2026-03-04 12:00:01')
    """,
)
NEW_PATIENTS = """
{"patient_id": 104, "name": "Noa Field", "born": "2000-02-29", "updated_at": "2026-03-04 12:00:00"}
{"patient_id": 102, "name": "Tom Hart", "born": "1990-12-24", "updated_at": "2026-03-04 15:00:00"}
"""
TWICE = """SUM(visits) <> (SELECT COUNT(*) FROM __ref("visits"))"""
NEVER = """SUM(visits) <> (SELECT SUM(minutes) FROM __ref("visits"))"""
VISITS = "SELECT appointment_id, surname, service_day, fee FROM clinic.visits ORDER BY 1"
DAYS = "SELECT visited_on, clinician, visits, fees FROM clinic.clinician_days ORDER BY 1, 2"
SEEN = "SELECT patient_id, first_visit, last_visit FROM clinic.patients_seen ORDER BY 1"
CARD = "SELECT appointment_id, fee FROM clinic.patient_card ORDER BY 1"
BOOKINGS = "SELECT appointment_id FROM clinic.booking_log ORDER BY 1"
NOTES = "SELECT phase, noted, bookings FROM hospital.build_log ORDER BY bookings, phase DESC"

FIRST_VISITS = [
    (1, "Berg", date(2026, 3, 2), Decimal(90)),
    (2, "Wolf", date(2026, 3, 2), Decimal(135)),
    (3, "Berg", date(2026, 3, 2), Decimal(0)),
    (4, "Lind", date(2026, 3, 3), Decimal("40.17")),
    (5, "Wolf", date(2026, 3, 4), Decimal(0)),
]
FIRST_DAYS = [
    (date(2026, 3, 2), "khan", 1, Decimal(0)),
    (date(2026, 3, 2), "ruiz", 2, Decimal(225)),
    (date(2026, 3, 3), "khan", 1, Decimal("40.17")),
    (date(2026, 3, 4), "mori", 1, Decimal(0)),
]
SECOND_VISITS = [
    (1, "Berg", date(2026, 3, 2), Decimal(105)),
    (2, "Hart", date(2026, 3, 2), Decimal(135)),
    (3, "Berg", date(2026, 3, 2), Decimal(0)),
    (4, "Lind", date(2026, 3, 3), Decimal("40.17")),
    (5, "Hart", date(2026, 3, 4), Decimal(360)),
    (6, "Lind", date(2026, 3, 4), Decimal(180)),
    (7, "Field", date(2026, 3, 5), Decimal(0)),
]
SECOND_DAYS = [
    *FIRST_DAYS[:3],
    (date(2026, 3, 4), "mori", 1, Decimal(360)),
    (date(2026, 3, 5), "khan", 1, Decimal(0)),
    (date(2026, 3, 5), "ruiz", 1, Decimal(180)),
]


@pytest.fixture
def clinic(copied):
    clinic = copied("clinic")
    clinic.run("CREATE SCHEMA hospital", SCHEMA, DAY_1)
    return clinic


def test_the_books_of_a_clinic_are_right_on_every_day(clinic):
    assert clinic.build() == {
        **dict.fromkeys(EVERYTHING, "succeeded"),
        "clinicians.not_null(specialty)": "warned",
    }
    assert clinic.message("clinicians.not_null(specialty)").startswith("1 row violates it:\n  code='khan'")
    assert clinic.run("SELECT * FROM clinic.clinicians ORDER BY code") == [
        ("khan", "Khan Amir", None, Decimal("120.50"), date(2019, 9, 15), True),
        ("mori", "Mori René", "surgery", Decimal(240), date(2008, 1, 31), False),
        ("ruiz", "Ruiz; Ana", "cardiology", Decimal(180), date(2014, 3, 1), True),
    ]
    assert clinic.run(VISITS) == FIRST_VISITS
    assert clinic.run(DAYS) == FIRST_DAYS
    assert clinic.run(SEEN) == [
        (101, at("2026-03-02 09:00"), at("2026-03-02 09:00")),
        (102, at("2026-03-02 10:00"), at("2026-03-04 11:00")),
        (103, at("2026-03-03 09:00"), at("2026-03-03 09:00")),
    ]
    assert clinic.run(CARD) == [(2, Decimal(135))]
    assert clinic.run(BOOKINGS) == [(1,), (2,), (3,), (4,), (5,)]
    assert clinic.run(NOTES) == [("sql", "booking_log", 5), ("python", "booking_log", 5)]
    assert _fees(clinic) == ["khan,40.17", "mori,0.00", "ruiz,225.00"]

    # New bookings, corrections, a patient with a new name; one booking has a status that only warns.
    clinic.run(*DAY_2)
    with (clinic.root / "inbox/patients.jsonl").open("a") as inbox:
        inbox.write(NEW_PATIENTS.lstrip())
    assert clinic.build(command="load") == {"raw_patients": "succeeded"}
    # That has built nothing of what is new in the source.
    (source,) = clinic.sqb("freshness", "--state")["sources"]
    assert (source["name"], source["status"]) == ("raw_appointments", "changed")
    built = clinic.build("--changed")
    warned = {name for name, status in built.items() if status == "warned"}
    assert warned == {"raw_appointments.accepted_values(status)"}
    assert set(built.values()) == {"succeeded", "warned"}
    assert {"clinicians", "fee", "raw_patients"} & set(built) == {"fee"}
    assert clinic.run(VISITS) == SECOND_VISITS
    assert clinic.run(DAYS) == SECOND_DAYS
    assert clinic.run(SEEN) == [
        (101, at("2026-03-02 09:00"), at("2026-03-02 09:00")),
        (102, at("2026-03-02 10:00"), at("2026-03-04 11:00")),
        (103, at("2026-03-03 09:00"), at("2026-03-05 02:30")),
        (104, at("2026-03-05 09:00"), at("2026-03-05 09:00")),
    ]
    assert clinic.run(CARD) == [(2, Decimal(135)), (5, Decimal(360))]
    assert clinic.run(BOOKINGS) == [(number,) for number in range(1, 8)]
    assert _fees(clinic) == ["khan,40.17", "mori,360.00", "ruiz,405.00"]

    # A visit of no length: what is published stays, and what reads it waits until it is mended.
    clinic.run(
        "INSERT INTO hospital.appointments VALUES (8, 101, 'mori', '2026-03-06 10:00', -10, 'done', '2026-03-05 08:00')"
    )
    stopped = clinic.build("--changed", code=1)
    assert {name for name, status in stopped.items() if status == "failed"} == {"visits", "visits.takes_time"}
    assert {name for name, status in stopped.items() if status == "blocked"} >= {
        "clinician_days",
        "fees_file",
        "patients_seen",
    }
    assert clinic.message("visits") == "1 of 4 audits did not pass: takes_time; what was there before stays"
    assert clinic.run(VISITS) == SECOND_VISITS
    assert clinic.run(DAYS) == SECOND_DAYS

    # It is mended, and a model changes: with it all of its rows, also that of the visit that was corrected too late.
    clinic.run("UPDATE hospital.appointments SET minutes = 10 WHERE id = 8")
    clinic.change("models/marts/clinician_days.sql", ("COUNT(*)", "CAST(SUM(minutes) AS INTEGER)"))
    clinic.change("tests/unit/visits.sql", ("2 AS visits", '15 + @param("minutes") AS visits'), (TWICE, NEVER))
    assert set(clinic.build("--changed").values()) == {"succeeded"}
    assert clinic.run(DAYS) == [
        (date(2026, 3, 2), "khan", 60, Decimal(0)),
        (date(2026, 3, 2), "ruiz", 80, Decimal(240)),
        (date(2026, 3, 3), "khan", 20, Decimal("40.17")),
        (date(2026, 3, 4), "mori", 90, Decimal(360)),
        (date(2026, 3, 5), "khan", 15, Decimal(0)),
        (date(2026, 3, 5), "ruiz", 60, Decimal(180)),
        (date(2026, 3, 6), "mori", 10, Decimal(40)),
    ]


def _fees(clinic) -> list[str]:
    return (clinic.root / "exports/fees.csv").read_text().split()[1:]


EVERYTHING = {
    "raw_patients", "clinicians", "fee", "visits_of",
    "stg_appointments", "stg_patients", "visits", "clinician_days", "patients_seen", "booking_log", "patient_card",
    "raw_appointments.not_null(id)", "raw_appointments.unique(id)", "raw_appointments.accepted_values(status)",
    "raw_appointments.booked_before_it_starts", "clinicians.not_null(code)", "clinicians.unique(code)",
    "clinicians.not_null(specialty)", "clinicians.fees_are_fair", "stg_patients.unique(patient_id)",
    "visits.not_null(appointment_id)", "visits.unique(appointment_id)", "visits.relationships(patient_id)",
    "visits.relationships(clinician)", "visits.not_closed(starts_at)", "visits.takes_time",
    "clinician_days.not_null(fees)", "no_double_booking",
    "visits_and_days[half_an_hour]", "visits_and_days[a_minute]", "surnames", "fees_are_rounded", "bookings_of_a_window",
    "a_card_without_visits", "fees_file", "tell_the_office", "somebody_earns",
}  # fmt: skip
