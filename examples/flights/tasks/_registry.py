"""Talking to the registry of exports; a name that starts with an underscore is not searched for nodes."""

import os
from typing import Any

import aiohttp

NO_REGISTRY = "FLIGHTS_REGISTRY is not set; python service.py starts a registry and prints the address"


def registry_address() -> str | None:
    """Where the registry listens in this run; None if there is none."""
    return os.environ.get("FLIGHTS_REGISTRY")


async def registered(run_id: str) -> list[dict[str, Any]]:
    """All summaries that a run has posted."""
    async with aiohttp.ClientSession(registry_address(), raise_for_status=True) as registry:
        async with registry.get("/summaries", params={"run_id": run_id}) as response:
            return await response.json()
