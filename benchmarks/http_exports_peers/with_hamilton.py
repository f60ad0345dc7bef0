"""One async function for each request; all of them share a session and a semaphore."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import types

import aiohttp
from hamilton import ad_hoc_utils, async_driver

REQUESTS, AT_ONCE = map(int, sys.argv[1:])
NODE = """
async def export_{number}(session: object, room: object) -> int:
    async with room, session.get("/{number}") as answer:
        return len(await answer.read())
"""


def module() -> types.ModuleType:
    namespace: dict[str, types.FunctionType] = {}
    exec("\n".join(NODE.format(number=number) for number in range(REQUESTS)), namespace)
    return ad_hoc_utils.create_temporary_module(*(namespace[f"export_{number}"] for number in range(REQUESTS)))


async def main() -> None:
    driver = await async_driver.Builder().with_modules(module()).build()
    names = [f"export_{number}" for number in range(REQUESTS)]
    started = time.perf_counter()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(os.environ["BENCH_SERVICE"], connector=connector) as session:
        found = await driver.execute(names, inputs={"session": session, "room": asyncio.Semaphore(AT_ONCE)})
    assert sum(found.values()) == 2 * REQUESTS
    print(json.dumps({"seconds": time.perf_counter() - started}))


asyncio.run(main())
