from __future__ import annotations

import datetime
import functools
from pathlib import Path

import pytest

from sqlbuild.assets import asset
from sqlbuild.authoring.collecting import collecting
from sqlbuild.authoring.declare import declaration_of, wrapper_above
from sqlbuild.domain.columns import Column
from sqlbuild.domain.nodes import Asset, Task
from sqlbuild.errors import DeclarationError, ProjectError
from sqlbuild.refs import model, seed, source
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import task


def passed_through(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def awaited_through(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        return await function(*args, **kwargs)

    return wrapper


def test_the_function_itself_is_returned_with_and_without_brackets():
    def export(ctx):
        return 3

    assert asset(export) is export
    assert export(None) == 3
    assert declaration_of(export).declared.function is export

    def other(ctx): ...

    assert asset()(other) is other
    assert isinstance(declaration_of(other), Asset)


def test_name_place_and_description_come_from_the_function():
    @task
    def export_orders(ctx):
        """Write orders.

        To a file.
        """

    declared = declaration_of(export_orders).declared
    assert isinstance(declaration_of(export_orders), Task)
    assert declared.name == "export_orders"
    assert declared.description == "Write orders.\n\nTo a file."
    assert Path(declared.place.path) == Path(__file__)
    assert Path(__file__).read_text().splitlines()[declared.place.line - 1].strip() == "@task"
    assert declared.requires == "any"
    assert not declared.is_async


def test_every_parameter_is_kept():
    @task
    def upstream(ctx): ...

    policy = RetryPolicy(max_attempts=2)

    @asset(
        name="other_name",
        depends_on=[upstream, model("fact_orders"), source("raw"), seed("countries"), upstream],
        columns=[{"name": "id", "type": "INTEGER", "nullable": False, "description": "d", "meta": {"pii": True}}],
        column_lineage={"id": [{"node": "fact_orders", "column": "order_id"}]},
        tags=["daily", "daily"],
        group="sales",
        description="Given",
        meta={"owner": {"teams": ["a", 1, 1.5, None, True]}},
        retry=policy,
        timeout=datetime.timedelta(minutes=1),
        pool=("api", "disk"),
        requires="none_failed",
    )
    async def export(ctx):
        """Not this."""

    node = declaration_of(export)
    declared = node.declared
    assert declared.name == "other_name"
    assert declared.depends_on == (upstream, model("fact_orders"), source("raw"), seed("countries"))
    assert node.columns == (Column(name="id", type="INTEGER", nullable=False, description="d", meta={"pii": True}),)
    assert node.column_lineage == {"id": (("fact_orders", "order_id"),)}
    assert (declared.tags, declared.group, declared.description) == (("daily",), "sales", "Given")
    assert declared.meta == {"owner": {"teams": ["a", 1, 1.5, None, True]}}
    assert (declared.retry, declared.timeout, declared.pools) == (policy, 60.0, ("api", "disk"))
    assert (declared.requires, declared.is_async) == ("none_failed", True)


@pytest.mark.parametrize("nothing", [None, (), []])
def test_no_dependency_can_be_written_in_three_ways(nothing):
    @asset(depends_on=nothing, tags=None, columns=None, retry=None, timeout=None)
    def export(ctx): ...

    assert declaration_of(export).declared.depends_on == ()


def test_one_dependency_needs_no_brackets():
    @asset(depends_on=model("fact_orders"), pool="api")
    def export(ctx): ...

    assert declaration_of(export).declared.depends_on == (model("fact_orders"),)
    assert declaration_of(export).declared.pools == ("api",)


class Exporter:
    def run(self): ...


def numbers():
    yield 1


async def waited_numbers():
    yield 1


def plain(ctx): ...


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (Exporter, "a class cannot be a node"),
        (lambda ctx: None, "a lambda"),
        (numbers, "a generator"),
        (waited_numbers, "an async generator"),
        (functools.partial(plain, 1), "a functools.partial"),
        (Exporter().run, "a method"),
        (staticmethod(plain), "a staticmethod"),
        (functools.lru_cache(plain), "type _lru_cache_wrapper"),
        (len, "builtin_function_or_method"),
        (passed_through(numbers), "a generator"),
        (passed_through(functools.partial(plain, 1)), "wraps a functools.partial"),
        ("orders_export", "a text instead of a function"),
        (3, "type int"),
    ],
)
def test_what_is_no_plain_function_is_refused_with_its_place(target, told):
    with pytest.raises(DeclarationError, match=told) as raised:
        asset(target)
    (problem,) = raised.value.problems
    assert problem.code == "DECORATED"
    assert problem.help
    assert Path(problem.path) == Path(__file__)
    assert "asset(target)" in Path(__file__).read_text().splitlines()[problem.line - 1]


def test_a_second_decorator_is_refused():
    def export(ctx): ...

    asset(export)
    with pytest.raises(DeclarationError, match="`export` is decorated"):
        task(export)
    with pytest.raises(DeclarationError, match="`export` is decorated"):
        asset(passed_through(export))


def test_a_decorator_error_is_a_type_error_and_a_project_error():
    with pytest.raises(TypeError) as raised:
        task(columns=[{"name": "id"}])(plain)
    assert isinstance(raised.value, ProjectError)
    assert "tasks have no columns; use @asset" in str(raised.value)
    assert raised.value.exit_code == 2
    assert declaration_of(plain) is None


def test_all_mistakes_of_one_decorator_are_told_together():
    with pytest.raises(DeclarationError) as raised:
        asset(tag=["a"], timeout=-1, requires="al", meta=3)(plain)
    messages = [problem.message for problem in raised.value.problems]
    assert messages == [
        '@asset: unknown parameter "tag", did you mean "tags"?',
        "@asset: timeout: must be a number of seconds above 0, not -1",
        '@asset: requires: unknown value "al", did you mean "all"?',
        "@asset: meta: must be a dict, not 3",
    ]


def test_a_time_limit_on_a_plain_function_is_refused():
    with pytest.raises(DeclarationError, match="cannot be stopped") as raised:
        asset(timeout=3)(plain)
    assert "async def" in raised.value.problems[0].help
    assert 'isolate="process"' in raised.value.problems[0].help


def test_a_function_in_a_process_of_its_own_may_have_a_time_limit():
    def squeeze(ctx): ...

    declared = declaration_of(asset(isolate="process", timeout=3)(squeeze)).declared
    assert (declared.isolated, declared.timeout) == (True, 3.0)


def test_an_async_function_is_not_put_into_a_process():
    async def waits(ctx): ...

    with pytest.raises(DeclarationError, match="runs on the event loop") as raised:
        asset(isolate="process", timeout=3)(waits)
    assert len(raised.value.problems) == 1, "its time limit is no further problem"
    assert 'isolate="process"' in raised.value.problems[0].help


def test_a_function_name_that_is_no_node_name_is_refused_with_a_better_one():
    def ExportOrders2(ctx): ...

    with pytest.raises(DeclarationError, match="lowercase snake_case") as raised:
        asset(ExportOrders2)
    assert 'name="export_orders2"' in raised.value.problems[0].help
    assert declaration_of(asset(name="fine")(ExportOrders2)).declared.name == "fine"


def test_a_wrapper_is_followed_to_what_it_wraps():
    @asset
    @passed_through
    async def waits(ctx):
        """Waits."""

    @asset
    @awaited_through
    def does_not_wait(ctx): ...

    @asset
    @passed_through
    def plain_one(ctx): ...

    assert declaration_of(waits).declared.is_async
    assert declaration_of(waits).declared.description == "Waits."
    assert declaration_of(does_not_wait).declared.is_async
    assert not declaration_of(plain_one).declared.is_async
    line = Path(__file__).read_text().splitlines()[declaration_of(waits).declared.place.line - 1]
    assert line.strip() == "@asset"


def test_a_wrapper_that_hides_an_async_function_is_refused():
    def timed(function):
        def wrapper(*args):
            return function(*args)

        return wrapper

    async def waits(ctx): ...

    with pytest.raises(DeclarationError, match="does not say what it wraps") as raised:
        asset(timed(waits))
    assert "functools.wraps" in raised.value.problems[0].help


def test_a_wrapper_around_a_node_is_not_that_node():
    @asset
    def export(ctx): ...

    wrapper = passed_through(export)
    assert declaration_of(wrapper) is None
    with pytest.raises(DeclarationError, match="another decorator above"):
        asset(depends_on=wrapper)(plain)


def test_a_decorator_above_ours_is_noticed():
    namespace = {"passed_through": passed_through, "asset": asset}
    exec("@passed_through\n@asset\ndef export(ctx): ...\n@asset\ndef other(ctx): ...", namespace)
    assert wrapper_above(namespace["export"].__wrapped__)
    assert not wrapper_above(namespace["other"])


def test_while_collecting_a_wrong_parameter_is_a_problem_and_the_node_is_kept():
    with collecting() as collector:

        @asset(tags="daily", group="sales")
        def export(ctx): ...

        class Export: ...

        assert asset(Export) is Export

    assert [node.declared.group for node in collector.nodes] == ["sales"]
    assert [problem.code for problem in collector.problems] == ["DECLARATION", "DECORATED"]
    assert declaration_of(export).declared.tags == ()


def test_nothing_is_a_node_that_was_not_decorated():
    for nothing in (plain, Exporter, None, 3, model("x")):
        assert declaration_of(nothing) is None
