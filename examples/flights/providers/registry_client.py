"""The registry of exports as one shared client: a node that names a parameter `registry_client` is given it."""

from typing import Any

import aiohttp
from pydantic import Field
from sqlbuild.providers import Provider, ProviderContext


class RegistryClient(Provider):
    """One HTTP session for the whole run, opened when the first node needs it and closed at the end."""

    address: str | None = Field(default=None, validation_alias="FLIGHTS_REGISTRY")

    async def setup(self, ctx: ProviderContext) -> None:
        self.session = aiohttp.ClientSession(self.address, raise_for_status=True)

    async def teardown(self) -> None:
        await self.session.close()

    async def register(self, summary: dict[str, Any]) -> str | None:
        """Post a summary, if there is a registry, and return its receipt."""
        if self.address is None:
            return None
        async with self.session.post("/summaries", json=summary) as response:
            return (await response.json())["receipt"]
