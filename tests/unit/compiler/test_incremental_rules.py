from __future__ import annotations

import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place
from sqlbuild.domain.incremental import (
    Bound,
    CursorCall,
    CursorInput,
    CursorType,
    Grain,
    Incremental,
    IncrementalStrategy,
    Replay,
    Span,
)
from sqlbuild.domain.nodes import Materialization

SQL = 'SELECT id, at, name FROM __source("events")'
COLUMNS = tuple(
    Column(name=name, type=type_) for name, type_ in (("id", "BIGINT"), ("at", "TIMESTAMP"), ("name", "VARCHAR"))
)
BY_TIME = {"cursor": "at", "cursor_type": CursorType.TIMESTAMP}
APPEND, DELETE_INSERT, MERGE = IncrementalStrategy


@pytest.fixture
def problems_of(make):
    """The problems of a model with these settings, as `code: message`."""

    def problems_of(sql: str = SQL, calls=(), **grows: object) -> list[str]:
        written = {"merge_exclude": "merge_exclude_columns", "start": "cursor_start", "replay": "replay_on_change",
                   "grain": "cursor_grain", "inputs": "cursor_inputs"}  # fmt: skip
        places = {written.get(key, key): Place("models/mart.sql", 3, 7) for key in grows}
        model = make.model(
            "mart",
            sql,
            materialized=Materialization.INCREMENTAL,
            incremental=Incremental(**grows, places=places),
            cursor_calls=tuple(calls),
        )
        events = make.source("events", table="events", columns=COLUMNS)
        days = make.source("days", table="days", columns=(Column(name="day", type="DATE"),))
        project = make.project(events, days, model)
        found = make.problems(project) or make.graph(project).warnings
        return [f"{each.code}: {each.message}" for each in found]

    return problems_of


@pytest.mark.parametrize(
    "grows",
    [
        {"strategy": APPEND},
        {"strategy": APPEND, **BY_TIME, "grain": Grain.SECOND},
        {"strategy": DELETE_INSERT, "unique_key": ("ID",)},
        {"strategy": MERGE, "unique_key": ("id",), "cursor": "id", "cursor_type": CursorType.INTEGER, "start": 4},
        {"strategy": DELETE_INSERT, **BY_TIME, "is_microbatch": True, "batch_size": "1d", "lookback": "2d"},
        {"strategy": DELETE_INSERT, **BY_TIME, "inputs": (CursorInput(name="events", column="at"),)},
    ],
)
def test_what_fits_together_is_no_problem(problems_of, grows):
    assert problems_of(**grows) == []


@pytest.mark.parametrize(
    ("grows", "problem"),
    [
        ({}, "INCREMENTAL: mart: an incremental model needs `incremental_strategy`"),
        ({"strategy": MERGE}, "INCREMENTAL: mart: merge needs `unique_key`"),
        ({"strategy": DELETE_INSERT}, "INCREMENTAL: mart: delete_insert needs `cursor` or `unique_key`"),
        ({"strategy": APPEND, "merge_exclude": ("id",)}, "INCREMENTAL: mart: `merge_exclude_columns` is for merge only"),
        ({"strategy": APPEND, "cursor": "at"}, "INCREMENTAL: mart: `cursor` needs `cursor_type`"),
        ({"strategy": APPEND, "start": "2026-01-01"}, "INCREMENTAL: mart: `cursor_start` needs `cursor`"),
        ({"strategy": APPEND, "replay": Replay(span=Span(0, 60))}, "INCREMENTAL: mart: `replay_on_change bounded-1m` needs `cursor`"),
        (
            {"strategy": APPEND, "cursor": "id", "cursor_type": CursorType.INTEGER, "grain": Grain.DAY},
            "INCREMENTAL: mart: `cursor_grain` is for timestamps only",
        ),
        ({"strategy": APPEND, **BY_TIME, "batch_size": "1d"}, "INCREMENTAL: mart: `batch_size` is for microbatches only"),
        ({"strategy": APPEND, **BY_TIME, "is_microbatch": True}, "INCREMENTAL: mart: microbatches need `batch_size`"),
        ({"strategy": APPEND, "is_microbatch": True, "batch_size": "1d"}, "INCREMENTAL: mart: microbatches need `cursor`"),
        (
            {"strategy": APPEND, **BY_TIME, "lookback": "1d"},
            "INCREMENTAL: mart: `lookback` with append adds the rows that it goes back over once more",
        ),
        ({"strategy": APPEND, **BY_TIME, "start": "soon"}, "BAD_VALUE: mart: `cursor_start`: 'soon' is no date or time, such as 2026-04-01 or 2026-04-01T12:30:00"),
        ({"strategy": APPEND, **BY_TIME, "is_microbatch": True, "batch_size": 5}, "BAD_VALUE: mart: `batch_size`: 5 is no length of time, such as 1d, 6h or 1mo"),
        ({"strategy": APPEND, "cursor": "att", "cursor_type": CursorType.TIMESTAMP, "inputs": (CursorInput(name="events", column="at"),)}, "UNKNOWN_COLUMN: mart: `cursor` names the column att, which the query does not have"),
        ({"strategy": MERGE, "unique_key": ("idd",)}, "UNKNOWN_COLUMN: mart: `unique_key` names the column idd, which the query does not have"),
        ({"strategy": APPEND, **BY_TIME, "inputs": (CursorInput(name="event", column="at"),)}, "CURSOR_INPUT: mart: `cursor_inputs` names event, which the query does not read"),
        ({"strategy": APPEND, **BY_TIME, "inputs": (CursorInput(name="events", column="nope"),)}, "UNKNOWN_COLUMN: mart: `cursor_inputs` names the column nope, which events does not have"),
        ({"strategy": APPEND, **BY_TIME, "inputs": (CursorInput(name="events", column="name"),)}, "INCREMENTAL: mart: the column name of events is VARCHAR, and the cursor is a date or time"),
        ({"strategy": APPEND, **BY_TIME, "inputs": (CursorInput(name="events", column="at", is_watermark=False),)}, "CURSOR_INPUT: mart: none of the `cursor_inputs` is a watermark"),
        ({"strategy": APPEND, "cursor": "id", "cursor_type": CursorType.TIMESTAMP, "inputs": (CursorInput(name="events", column="at"),)}, "INCREMENTAL: mart: the column id of the query is BIGINT, and the cursor is a date or time"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_a_problem(problems_of, grows, problem):
    assert problems_of(**grows) == [problem]


def test_of_several_inputs_it_must_be_said_which_has_the_cursor(problems_of):
    sql = 'SELECT e.at, d.day FROM __source("events") e JOIN __source("days") d ON e.at = d.day'
    (found,) = problems_of(sql, strategy=APPEND, **BY_TIME)
    assert found.startswith("CURSOR_INPUT: mart: it reads events, days: `cursor_inputs` must say")
    (found,) = problems_of('SELECT day AS at FROM __source("days")', strategy=APPEND, **BY_TIME)
    assert found == "CURSOR_INPUT: mart: days has no column at"
    (found,) = problems_of("SELECT now()::TIMESTAMP AS at", strategy=APPEND, **BY_TIME)
    assert found.startswith("INCREMENTAL: mart: reads no inputs")


def test_bounds_of_a_window_are_for_models_that_have_one(problems_of, make):
    call = CursorCall(bound=Bound.START, place=Place("models/mart.sql", 5, 8))
    (found,) = make.problems(make.project(make.model("mart", "SELECT __cursor_start() AS one", cursor_calls=(call,))))
    assert (found.code, found.line, found.column) == ("INCREMENTAL", 5, 8)
    assert found.message == "mart calls __cursor_start(), but it has no cursor"
    (text,) = problems_of("SELECT __cursor_start() AS one", [call], strategy=APPEND)
    assert text == "INCREMENTAL: mart calls __cursor_start(), but it has no cursor"
