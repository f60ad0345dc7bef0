"""Async tasks of one worker in the same process, which runs them on its event loop."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import aiohttp
from distributed import Client, LocalCluster

REQUESTS, AT_ONCE = map(int, sys.argv[1:])
session: aiohttp.ClientSession | None = None
room = asyncio.Semaphore(AT_ONCE)


async def export(number: int) -> int:
    # Functions of this file are sent as copies that have globals of their own.
    import __main__ as shared

    if shared.session is None:
        connector = aiohttp.TCPConnector(limit=0)
        shared.session = aiohttp.ClientSession(os.environ["BENCH_SERVICE"], connector=connector)
    async with shared.room, shared.session.get(f"/{number}") as answer:
        return len(await answer.read())


async def close() -> None:
    import __main__ as shared

    await shared.session.close()


if __name__ == "__main__":
    with (
        LocalCluster(n_workers=1, threads_per_worker=AT_ONCE, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        started = time.perf_counter()
        found = client.gather(client.map(export, range(REQUESTS), pure=False))
        told = {"seconds": time.perf_counter() - started}
        assert sum(found) == 2 * REQUESTS
        client.submit(close).result()
        print(json.dumps(told))
