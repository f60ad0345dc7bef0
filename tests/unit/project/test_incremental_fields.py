from __future__ import annotations

import pytest

from sqlbuild.domain.incremental import (
    BatchLimit,
    Bound,
    CursorInput,
    CursorType,
    Grain,
    IncrementalStrategy,
    OnSchemaChange,
    Replay,
    Span,
)
from sqlbuild.domain.nodes import Model
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.located import located
from sqlbuild.project.model_fields import read_model_fields
from sqlbuild.project.read_sql import read_model
from sqlbuild.project.text_file import TextFile
from sqlbuild.sql.window_sql import bound_edits


def read(
    header: str, sql: str = 'SELECT a FROM __ref("orders")', defaults: dict | None = None
) -> tuple[Model, list[str]]:
    problems: list = []
    model = read_model(TextFile("models/mart.sql", f"MODEL ({header});\n{sql}"), defaults or {}, problems)
    return model, [
        f"{each.severity} {each.code} {each.line}:{each.column} {each.message}; {each.help}" for each in problems
    ]


def defaults_of(**table: object) -> dict:
    return read_model_fields(FieldReader(located(table, TextFile("sqlbuild_project.toml", "")), "", []))


def test_every_key_of_an_incremental_model_is_read():
    model, problems = read(
        """materialized incremental, incremental_strategy delete_insert, unique_key [a, b], cursor at,
        cursor_type timestamp, cursor_grain hour, cursor_start 2026-04-01, cursor_end "2026-05-01T12:00:00",
        cursor_inputs (orders ordered_at, days (column day, roles [filter]), late (column at, roles [watermark])),
        lookback 3d, append_cursor_inclusive false, full_refresh false, on_schema_change sync_all_columns,
        replay_on_change bounded-14d, incremental_mode microbatch, microbatch_strategy watermark,
        cursor_watermark_mode any, batch_size 6h, microbatch_limit (max_batches 7, action cap_from_start)"""
    )
    assert problems == []
    grows = model.incremental
    assert grows is not None
    assert (grows.strategy, grows.unique_key, grows.cursor) == (IncrementalStrategy.DELETE_INSERT, ("a", "b"), "at")
    assert (grows.cursor_type, grows.grain) == (CursorType.TIMESTAMP, Grain.HOUR)
    assert (grows.start, grows.end) == ("2026-04-01", "2026-05-01T12:00:00")
    assert grows.inputs == (
        CursorInput(name="orders", column="ordered_at"),
        CursorInput(name="days", column="day", is_watermark=False),
        CursorInput(name="late", column="at", filters=False),
    )
    assert (grows.lookback, grows.append_inclusive, grows.full_refresh) == ("3d", False, False)
    assert grows.on_schema_change is OnSchemaChange.SYNC_ALL_COLUMNS
    assert grows.replay == Replay(span=Span(0, 14 * 86_400))
    assert (grows.is_microbatch, grows.any_watermark, grows.batch_size) == (True, True, "6h")
    assert grows.batch_limit == BatchLimit(batches=7, action="cap_from_start")
    assert str(grows.places["cursor"]) == "models/mart.sql:1:96"


def test_a_header_comes_before_defaults_key_by_key_and_null_takes_one_back():
    defaults = defaults_of(materialized="incremental", incremental_strategy="append", lookback="3d", max_microbatches=5)
    model, problems = read(
        "incremental_strategy merge, lookback null, unique_key id, batch_size 100", defaults=defaults
    )
    assert problems == []
    grows = model.incremental
    assert grows is not None
    assert (grows.strategy, grows.lookback, grows.unique_key) == (IncrementalStrategy.MERGE, None, ("id",))
    assert (grows.batch_limit, grows.batch_size) == (BatchLimit(batches=5), 100)


def test_other_models_have_none_of_it_and_are_told_so():
    model, problems = read("materialized table, unique_key [a], cursor at")
    assert model.incremental is None
    assert problems == [
        "warning NO_EFFECT 1:44 `cursor` has no effect: the model is not incremental; "
        "write `materialized incremental`, or remove the key"
    ]
    assert read("materialized table", defaults=defaults_of(lookback="3d"))[1] == []


@pytest.mark.parametrize(
    ("header", "code", "message"),
    [
        ("incremental_strategy upsert", "BAD_VALUE", "must be append, delete_insert or merge, not text"),
        ("cursor_type date", "BAD_VALUE", "must be timestamp or integer"),
        ("cursor_grain week", "BAD_VALUE", "must be second, minute, hour, day, month or year"),
        ("on_schema_change drop", "BAD_VALUE", "must be append_new_columns, sync_all_columns, ignore or fail"),
        ("replay_on_change bounded-2mo", "BAD_VALUE", "must be forward, full or bounded-<duration>"),
        ("replay_on_change bounded-0d", "BAD_VALUE", "must be forward, full or bounded-<duration>"),
        ("incremental_mode batches", "BAD_VALUE", "must be microbatch, not text"),
        ("cursor_inputs orders", "WRONG_TYPE", "`cursor_inputs` must be a table"),
        ("cursor_inputs (orders 3)", "WRONG_TYPE", "`cursor_inputs.orders` must be a column or a table"),
        ("cursor_inputs (orders (roles [filter]))", "MISSING_KEY", "`cursor_inputs.orders.column` is missing"),
        ("cursor_inputs (orders (column a, roles [both]))", "BAD_VALUE", "must be filter or watermark"),
        ("cursor_inputs ()", "BAD_VALUE", "`cursor_inputs` is empty"),
        ("unique_key []", "BAD_VALUE", "`unique_key` is empty"),
        ("full_refresh yes", "WRONG_TYPE", "must be true or false"),
        ("microbatch_limit (action warn)", "MISSING_KEY", "`microbatch_limit.max_batches` is missing"),
        ("microbatch_limit (max_batches 0)", "BAD_VALUE", "must be at least 1"),
        (
            "microbatch_limit (max_batches 2, action stop)",
            "BAD_VALUE",
            "must be error, warn, cap_from_start or cap_from_end",
        ),
        ("microbatch_strategy rolling_window", "UNSUPPORTED", "`microbatch_strategy rolling_window` is not supported"),
        ("microbatch_strategy daily", "BAD_VALUE", "must be watermark"),
    ],
)
def test_what_is_wrong_is_a_problem_with_its_place(header: str, code: str, message: str):
    (found,) = read(f"materialized incremental, {header}")[1]
    assert found.startswith(f"error {code} 1:")
    assert message in found


def test_batches_that_would_run_at_once_are_a_warning():
    (found,) = read("materialized incremental, batch_concurrency 4")[1]
    assert found.startswith("warning UNSUPPORTED 1:34 `batch_concurrency` is not supported")
    assert read("materialized incremental, batch_concurrency 1")[1] == []


def test_calls_for_the_bounds_of_the_window_are_found_where_they_are_code():
    sql = "SELECT '__cursor_start()', a -- __cursor_end()\nFROM t WHERE a >= __cursor_start ( ) AND a < __CURSOR_END()"
    model, problems = read("materialized incremental", sql)
    assert problems == []
    assert [call.bound for call in model.cursor_calls] == [Bound.START, Bound.END]
    assert [str(call.place) for call in model.cursor_calls] == ["models/mart.sql:3:19", "models/mart.sql:3:46"]
    assert [sql[start:end] for start, end, _ in bound_edits(sql)] == ["__cursor_start ( )", "__CURSOR_END()"]


def test_a_bound_takes_no_arguments():
    (found,) = read("materialized incremental", "SELECT __cursor_start('a')")[1]
    assert (
        found == "error REFERENCE 2:8 `__cursor_start` is not called rightly; write __cursor_start(), without arguments"
    )
