from __future__ import annotations

import pytest

from sqlbuild.authoring.hook_functions import (
    context_parameter,
    declared_hook,
    provider_parameters,
    wrong_arguments,
)
from sqlbuild.errors import DeclarationError
from sqlbuild.hooks import hook
from sqlbuild.refs import model


def test_a_hook_is_named_and_described_by_its_function_or_by_the_decorator():
    @hook
    def notify(ctx):
        """Tell somebody."""

    @hook(name="other", description="Why", reads=model("a"))
    async def again(ctx): ...

    first, second = declared_hook(notify), declared_hook(again)
    assert (first.name, first.description, first.is_async, first.depends_on) == ("notify", "Tell somebody.", False, ())
    assert (second.name, second.description, second.is_async) == ("other", "Why", True)
    assert second.depends_on == (model("a"),)
    assert declared_hook(print) is None


@pytest.mark.parametrize("options", [{"name": ""}, {"description": 3}, {"reads": "orders"}, {"reads": [print]}])
def test_the_decorator_takes_nothing_else(options):
    with pytest.raises(DeclarationError):
        hook(**options)(lambda ctx: None)


def test_a_class_is_no_hook():
    with pytest.raises(DeclarationError, match="@hook is for functions"):
        hook(int)


def test_arguments_are_checked_by_the_signature():
    def notify(channel, *, times=1, crm_client, hook_context): ...

    def anything(ctx, **more): ...

    providers = ["crm_client"]
    assert context_parameter(notify) == "hook_context"
    assert provider_parameters(notify, {}, providers) == ("crm_client",)
    assert list(wrong_arguments(notify, {"channel": "x"}, providers)) == []
    assert list(wrong_arguments(anything, {"channel": "x"}, providers)) == []
    assert list(wrong_arguments(notify, {"chanel": 1}, providers)) == [
        "it has no parameter chanel",
        "its parameter channel is given nothing",
    ]
    assert list(wrong_arguments(notify, {"channel": 1, "crm_client": 2, "hook_context": 3}, providers)) == [
        "the argument crm_client is given by sqlbuild",
        "the argument hook_context is given by sqlbuild",
    ]
    assert list(wrong_arguments(lambda x, /: None, {}, [])) == ["its parameter x cannot be given by name"]
