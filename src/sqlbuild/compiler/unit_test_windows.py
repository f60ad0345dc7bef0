"""The window of the cursor that a unit test asks for."""

from __future__ import annotations

from collections.abc import Mapping

from sqlbuild.compiler.model_query import wide_window
from sqlbuild.compiler.unit_test_surroundings import ProblemsOfTest
from sqlbuild.domain.cursor_windows import Window, floor_to, read_value, value_text
from sqlbuild.domain.incremental import CursorType, CursorValue
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.unit_tests import UnitTest
from sqlbuild.refs import Reference


def windows_of(test: UnitTest, models: Mapping[Reference, Model], problems: ProblemsOfTest) -> dict[Reference, Window]:
    """For each model that asks for the bounds of its window the one of the test, if its header has one."""
    if test.cursor_start is None and test.cursor_end is None:
        return {}
    asking = {reference: model for reference, model in models.items() if model.cursor_calls}
    if not asking:
        message = "it has a window of the cursor, and no model that it runs calls __cursor_start() or __cursor_end()"
        problems.add_problem("TEST_WINDOW", message, "remove cursor_start and cursor_end", test.place)
    windows: dict[Reference, Window] = {}
    for reference, model in asking.items():
        wide = wide_window(model)
        start = _bound(test, "cursor_start", test.cursor_start, model, problems)
        end = _bound(test, "cursor_end", test.cursor_end, model, problems)
        begin = wide.start if start is None else start
        window = Window(start=begin, end=wide.end if end is None else end, covers_from=begin)
        if window.is_empty:
            message = f"cursor_start {value_text(window.start)} is not before cursor_end {value_text(window.end)}"
            problems.add_problem("TEST_WINDOW", message, "the start is in the window, the end behind it", test.place)
        windows[reference] = window
    return windows


def _bound(test: UnitTest, key: str, written: str | None, model: Model, problems: ProblemsOfTest) -> CursorValue | None:
    if written is None or model.incremental is None:
        return None
    cursor_type = model.incremental.cursor_type or CursorType.TIMESTAMP
    try:
        value = read_value(written, cursor_type)
    except ValueError as error:
        help = f"the cursor of {model.name} is of type {cursor_type}"
        problems.add_problem("TEST_WINDOW", f"{key}: {error}", help, test.place)
        return None
    grain = model.incremental.grain
    if floor_to(value, grain) != value:
        help = f"write {value_text(floor_to(value, grain))}"
        message = f"{key} {value_text(value)} does not begin a {grain}, which is the grain of {model.name}"
        problems.add_problem("TEST_WINDOW", message, help, test.place)
    return value
