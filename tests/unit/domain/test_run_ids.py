from __future__ import annotations

import datetime

from sqlbuild.domain.run_ids import run_id_at, time_of_run_id

MOMENT = datetime.datetime(2027, 1, 15, 8, 0, 0, 500_000, datetime.UTC)


def test_an_id_is_made_of_time_and_chance():
    assert run_id_at(MOMENT, "abcd") == "20270115T080000Z-800abc"
    elsewhere = MOMENT.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
    assert run_id_at(elsewhere, "abcd") == "20270115T080000Z-800abc"


def test_ids_of_one_second_sort_by_time():
    later = MOMENT + datetime.timedelta(milliseconds=1)
    assert run_id_at(MOMENT, "fff") < run_id_at(later, "000")


def test_an_id_tells_when_its_run_began():
    assert time_of_run_id("20270115T080000Z-000abc") == 1_800_000_000.0
    assert time_of_run_id("20270115T080000Z-800abc") == 1_800_000_000.5
    assert time_of_run_id("20270115T080000Z") == 0.0
    assert time_of_run_id("something else") == 0.0
