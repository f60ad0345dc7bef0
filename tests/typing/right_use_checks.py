"""A user's checks, factories and providers, checked in strict mode and never imported: no line may be an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, assert_type

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from sqlbuild.assets import AssetContext, AsyncAssetContext, asset
from sqlbuild.checks import AsyncCheckContext, CheckContext, Severity, check
from sqlbuild.factories import factory
from sqlbuild.providers import Provider, ProviderContext
from sqlbuild.refs import model, source
from sqlbuild.tasks import TaskContext, task


@task
def notify(ctx: TaskContext) -> None: ...


@check(depends_on=model("orders"))
def orders_not_empty(ctx: CheckContext):
    count = ctx.query(f"SELECT count(*) FROM {ctx.relation(model('orders'))}").scalar()
    if count > 10_000:
        return ctx.warn("many orders", metadata={"rows": count})
    return ctx.pass_() if count else ctx.fail("no orders")


@check(depends_on=[model("orders"), source("raw"), notify], severity="warn", tags=["daily"], name="all_of_it")
async def waits(ctx: AsyncCheckContext):
    if await ctx.query("SELECT 1").scalar() is None:
        return ctx.skip("nothing yet")
    return ctx.pass_("all there")


@check(depends_on=notify, severity=Severity.WARN, timeout=30, pool=("a", "b"))
async def says_yes_or_no(ctx: AsyncCheckContext) -> bool:
    return (await ctx.query("SELECT 1").fetchone()) is not None


keeps_its_type: Callable[[CheckContext], object] = orders_not_empty


class CrmClient(Provider):
    model_config = SettingsConfigDict(env_prefix="CRM_")

    token: SecretStr
    port: int = 80

    async def setup(self, ctx: ProviderContext) -> None:
        self.session = f"{ctx.target}:{self.port}"

    async def teardown(self) -> None: ...

    async def push(self, rows: list[tuple[Any, ...]]) -> int:
        return len(rows)


class Database(Provider):
    def setup(self, ctx: ProviderContext) -> None: ...

    def teardown(self) -> None: ...


@asset(depends_on=model("orders"))
async def push_orders(ctx: AsyncAssetContext, crm_client: CrmClient, *, database: Database):
    pushed = await crm_client.push(await ctx.query("SELECT 1").fetchall())
    assert_type(pushed, int)
    return ctx.result({"pushed": pushed, "again": ctx.providers.crm_client.port, "session": crm_client.session})


@factory
def one_of_them():
    @asset
    def made(ctx: AssetContext) -> int:
        return 1

    return made


@factory()
def several(names: tuple[str, ...] = ("a", "b")) -> list[Callable[[AssetContext], None]]:
    def make(name: str) -> Callable[[AssetContext], None]:
        @asset(name=name)
        def export(ctx: AssetContext) -> None: ...

        return export

    return [make(name) for name in names]


@factory
def one_after_the_other() -> Iterator[Callable[..., object]]:
    yield from several()


@factory
async def awaited() -> list[Callable[[AssetContext], None]]:
    return several()


@factory
async def gone_through() -> AsyncIterator[Callable[..., object]]:
    for each in await awaited():
        yield each


assert_type(several(), list[Callable[[AssetContext], None]])
