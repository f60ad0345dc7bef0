from __future__ import annotations

import functools

import pytest

from sqlbuild import assets
from sqlbuild.assets import AssetContext, AsyncAssetContext, asset
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.authoring.functions import signature_problems, takes_context
from sqlbuild.domain.nodes import kind_of_declaration
from sqlbuild.tasks import AsyncTaskContext, TaskContext, task

Alias = AssetContext


def problems_of(decorator, function):
    node = declaration_of(decorator(function))
    return signature_problems(node.declared, kind_of_declaration(node))


def named(decorator):
    return functools.partial(decorator, name="export")


def check(decorator, function):
    return [(problem.code, problem.message, problem.help) for problem in problems_of(named(decorator), function)]


def test_right_contexts_are_accepted():
    def plain(ctx: AssetContext): ...
    def dotted(ctx: assets.AssetContext): ...
    def aliased(ctx: Alias): ...
    async def waits(ctx: AsyncAssetContext): ...
    def unknown(ctx: SomethingElse): ...  # noqa: F821
    def nothing(): ...
    def unannotated(ctx): ...
    def anything(*args, **kwargs): ...
    def with_defaults(ctx, carrier="AA", *, month=1): ...

    for function in (plain, dotted, aliased, waits, unknown, nothing, unannotated, anything, with_defaults):
        assert check(asset, function) == []

    def task_context(ctx: TaskContext): ...
    async def waiting_task(ctx: AsyncTaskContext): ...

    for function in (task_context, waiting_task):
        assert check(task, function) == []


def test_a_plain_context_on_an_async_function_is_a_problem():
    async def export(ctx: AssetContext): ...

    assert check(asset, export) == [
        (
            "CONTEXT_KIND",
            "export is `async def` but its context is annotated AssetContext",
            "annotate it AsyncAssetContext, or make the function `def`",
        )
    ]


def test_an_async_context_on_a_plain_function_is_a_problem_also_through_an_alias():
    def export(ctx: sqlbuild.tasks.AsyncTaskContext): ...  # noqa: F821

    assert check(task, export) == [
        (
            "CONTEXT_KIND",
            "export is `def` but its context is annotated AsyncTaskContext",
            "annotate it TaskContext, or make the function `async def`",
        )
    ]

    async def aliased(ctx: Alias): ...

    assert [code for code, _, _ in check(asset, aliased)] == ["CONTEXT_KIND"]


def test_an_annotation_that_is_a_class_already_is_seen():
    def export(ctx): ...

    export.__annotations__["ctx"] = AsyncAssetContext
    assert [code for code, _, _ in check(asset, export)] == ["CONTEXT_KIND"]


def test_the_context_of_the_other_kind_is_a_problem():
    def export(ctx: AssetContext): ...

    assert check(task, export) == [
        (
            "CONTEXT_KIND",
            "export is declared with @task but its context is annotated AssetContext",
            "annotate it TaskContext, or declare it with @asset",
        )
    ]


def test_a_parameter_that_nothing_fills_is_a_problem():
    def export(ctx, carrier, month=1, *, year, day=2): ...

    assert [(code, message) for code, message, _ in check(asset, export)] == [
        ("PARAMETER", "export: nothing is given to the parameter `carrier`"),
        ("PARAMETER", "export: nothing is given to the parameter `year`"),
    ]


def test_a_wrappers_own_parameters_count_if_it_names_them():
    def with_two(ctx, client): ...

    @functools.wraps(with_two)
    def given(ctx): ...

    @functools.wraps(with_two)
    def passed_on(*args, **kwargs): ...

    assert check(asset, given) == []
    assert [code for code, _, _ in check(asset, passed_on)] == ["PARAMETER"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: 1, False),
        (lambda ctx: 1, True),
        (lambda ctx, carrier=1: 1, True),
        (lambda carrier=1: 1, False),
        (lambda *args: 1, True),
        (lambda **named: 1, False),
        (functools.wraps(lambda: 1)(lambda *args: 1), False),
        (functools.wraps(lambda: 1)(lambda ctx: 1), True),
        (functools.wraps(lambda ctx: 1)(lambda *args: 1), True),
    ],
)
def test_a_context_is_given_to_a_positional_parameter_without_a_default(function, expected):
    assert takes_context(function) is expected
