from __future__ import annotations

import functools

import anyio
import pytest

from sqlbuild.assets import asset
from sqlbuild.authoring.collecting import collecting
from sqlbuild.errors import DeclarationError
from sqlbuild.factories import factory
from sqlbuild.tasks import task


def test_outside_of_a_project_a_factory_stays_the_function_it_is():
    def make():
        return []

    assert factory(make) is make
    assert factory()(make) is make


def test_a_factory_that_is_called_twice_while_loading_gives_the_same_nodes():
    with collecting() as collector:

        @factory
        def make():
            @asset
            def export(ctx): ...

            return [export]

        first, second = make(), make()
    assert first is second
    assert [node.declared.name for node in collector.nodes] == ["export"]


def test_a_generator_begins_again_each_time_it_is_called():
    with collecting() as collector:

        @factory
        def make():
            for name in ("a", "b"):

                @task(name=name)
                def one(ctx, name=name): ...

                yield one

        assert [*make()] == [*make()]
    assert [node.declared.name for node in collector.nodes] == ["a", "b"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_async_factories_are_awaited_and_gone_through(anyio_backend):
    with collecting() as collector:

        @factory
        async def awaited():
            await anyio.lowlevel.checkpoint()

            @task
            def one(ctx): ...

            return one

        @factory
        async def gone_through():
            yield await awaited()

            @task
            def two(ctx): ...

            yield two

        one = await awaited()
        assert (await anext(aiter(gone_through()))) is one
        assert len([node async for node in gone_through()]) == 2
        assert await awaited() is one
    assert [node.declared.name for node in collector.nodes] == ["one", "two"]


def test_what_failed_once_fails_again_and_makes_no_node_twice():
    with collecting() as collector:

        @factory
        def make():
            @task
            def one(ctx): ...

            raise ValueError("no list of carriers")

        for _ in range(2):
            with pytest.raises(ValueError, match="no list"):
                make()
    assert len(collector.nodes) == 1


def test_arguments_with_defaults_are_none():
    with collecting() as collector:

        @factory
        def make(names=("a",), *, prefix=""):
            return []

        assert make() == []
    assert collector.problems == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: factory(lambda_with_argument), "takes `carrier`, but a factory is called without arguments"),
        (lambda: factory(named_argument), "takes `carrier`, but a factory"),
        (lambda: factory(int), "only a function can be a factory"),
        (lambda: factory(functools.partial(print)), "only a function can be a factory"),
        (lambda: factory(a_node), "`a_node` is a node itself"),
    ],
)
def test_what_cannot_be_a_factory_is_refused(make, message):
    with pytest.raises(DeclarationError) as caught:
        make()
    assert f"error[FACTORY] {__file__}" in str(caught.value)
    assert message in str(caught.value)
    with collecting() as collector:
        make()
    assert [problem.code for problem in collector.problems] == ["FACTORY"]


def lambda_with_argument(carrier): ...


def named_argument(*, carrier): ...


@task
def a_node(ctx): ...
