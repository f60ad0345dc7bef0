from __future__ import annotations

import datetime

from sqlbuild.domain.cursor_windows import Window
from sqlbuild.domain.incremental import Bound, IncrementalSql
from sqlbuild.sql.window_sql import literal, mark_of, parts_of, read_within_window, within_window, without_bounds

DAY = datetime.datetime.fromisoformat("2026-04-01")
WINDOW = Window(start=DAY, end=DAY + datetime.timedelta(days=1, microseconds=5), covers_from=DAY)


def test_bounds_are_literals_with_their_type():
    assert literal(41) == "41"
    assert literal(DAY) == "TIMESTAMP '2026-04-01 00:00:00'"
    assert literal(DAY, has_zone=True) == "TIMESTAMP WITH TIME ZONE '2026-04-01 00:00:00+00'"


def test_each_bound_has_the_type_of_the_input_that_it_is_compared_with():
    sql = f"SELECT {mark_of(Bound.END)} FROM {read_within_window('a', 'at', 0)} JOIN {read_within_window('b', 'at', 1)}"
    rendered = within_window(IncrementalSql(parts=parts_of(sql)), WINDOW, (True, False))
    assert rendered == (
        "SELECT TIMESTAMP '2026-04-02 00:00:00.000005' FROM "
        "(SELECT * FROM a WHERE \"at\" >= TIMESTAMP WITH TIME ZONE '2026-04-01 00:00:00+00' "
        "AND \"at\" < TIMESTAMP WITH TIME ZONE '2026-04-02 00:00:00.000005+00') JOIN "
        "(SELECT * FROM b WHERE \"at\" >= TIMESTAMP '2026-04-01 00:00:00' AND \"at\" < TIMESTAMP '2026-04-02 00:00:00.000005')"
    )


def test_a_query_without_bounds_can_be_looked_at():
    sql = f"SELECT *\nFROM t WHERE a >= {mark_of(Bound.START)}"
    assert without_bounds(sql, "BIGINT") == "SELECT *\nFROM t WHERE a >= CAST(NULL AS BIGINT)"
    assert within_window(IncrementalSql(parts=parts_of("SELECT 1")), None, ()) == "SELECT 1"
