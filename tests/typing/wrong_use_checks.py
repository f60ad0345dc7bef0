"""What is wrong with checks, factories and providers, line by line."""

from __future__ import annotations

from sqlbuild.assets import AssetContext, asset
from sqlbuild.checks import CheckContext, check
from sqlbuild.factories import factory
from sqlbuild.providers import Provider, ProviderContext
from sqlbuild.refs import model


def undecorated(ctx: CheckContext) -> bool:
    return True


check()  # wrong
check(undecorated)  # wrong
check(severity="warn")  # wrong
check(depends_on="orders")  # wrong
check(depends_on=model("orders"), severity="fatal")  # wrong
check(depends_on=model("orders"), retry=3)  # wrong
check(depends_on=model("orders"), requires="any")  # wrong
check(depends_on=model("orders"), columns=[{"name": "a"}])  # wrong


def returns_nothing(ctx: CheckContext) -> None: ...


def returns_rows(ctx: CheckContext) -> dict[str, int]:
    return {"rows": 3}


check(depends_on=model("orders"))(returns_nothing)  # wrong
check(depends_on=model("orders"))(returns_rows)  # wrong


@check(depends_on=model("orders"))
def wrong_calls(ctx: CheckContext):
    ctx.fail()  # wrong
    ctx.fail(3)  # wrong
    ctx.warn(metadata={"rows": 3})  # wrong
    ctx.pass_(3)  # wrong
    ctx.result({"rows": 3})  # wrong
    return ctx.pass_()


def takes_a_name(name: str) -> list[object]:
    return []


def makes_nothing() -> int:
    return 3


factory(takes_a_name)  # wrong
factory(makes_nothing)  # wrong
factory(3)  # wrong


class Client(Provider):
    port: int = 80

    def setup(self, ctx: ProviderContext) -> None:
        ctx.relation("orders")  # wrong
        self.port = "80"  # wrong


@asset
def uses_it(ctx: AssetContext, client: Client) -> str:
    return client.port  # wrong
