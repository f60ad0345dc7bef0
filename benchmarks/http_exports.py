"""W2: async assets that each wait for one answer of a service.

Each asset sends one GET to a server on loopback, in a process of its own, that answers after 100 ms; at most 256 are in
flight. The limit is a bare loop of anyio and aiohttp that sends the same requests, in one session, on the same event loop.
Ours has one session too, shared by a provider. The bare loop and the other tools measure the requests inside their
process; `sqb build` is told twice, by the run itself (`duration` in target/run_results.json) and as the whole `sqb build`
less the whole `sqb compile`, which has opening the warehouse and writing the artifacts in it.

    python benchmarks/http_exports.py [REQUESTS] [AT_ONCE]
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from comparing import Entry, Sample, compare, read_options
from measuring import duration_of, new_project, run, service, sqb
from peers import peer

SECONDS = 0.1
SERVICE = f"""
import asyncio

ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"

class Service(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for _ in range(data.count(b"\\r\\n\\r\\n")):
            asyncio.get_running_loop().call_later({SECONDS}, self.answer)

    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(ANSWER)

async def main():
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", 0, backlog=2048)
    print("http://127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
PROVIDER = """
import os
import aiohttp
from sqlbuild.providers import Provider

class ServiceClient(Provider):
    async def setup(self, ctx):
        self.session = aiohttp.ClientSession(os.environ["BENCH_SERVICE"], connector=aiohttp.TCPConnector(limit=0))

    async def teardown(self):
        await self.session.close()
"""
ASSETS = """
from sqlbuild.assets import asset

def make(number):
    @asset(name=f"export_{number:06}")
    async def export(ctx, service_client):
        async with service_client.session.get(f"/{number}") as answer:
            return ctx.result(metadata={"bytes": len(await answer.read())}, materialized=True)

for number in range(REQUESTS):
    make(number)
"""
BARE = """
import json, os, time
import aiohttp, anyio

numbers = iter(range({requests}))
done = 0

async def work(session):
    global done
    for number in numbers:
        async with session.get(f"/{{number}}") as answer:
            done += len(await answer.read()) == 2

async def main():
    started = time.perf_counter()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(os.environ["BENCH_SERVICE"], connector=connector) as session:
        async with anyio.create_task_group() as group:
            for _ in range({at_once}):
                group.start_soon(work, session)
    print(json.dumps({{"seconds": time.perf_counter() - started}}))

try:
    import uvloop
except ImportError:
    uvloop = None
anyio.run(main, backend_options={{"use_uvloop": uvloop is not None}})
assert done == {requests}, done
"""


def main() -> None:
    options = read_options(__doc__, requests=1_000, at_once=256)
    requests, at_once = options.sizes
    with service("-c", SERVICE) as address:
        os.environ["BENCH_SERVICE"] = address
        measure = functools.partial(in_peer, requests=requests, at_once=at_once)
        entries = [
            Entry("bare anyio and aiohttp", functools.partial(bare, requests, at_once)),
            Entry("sqb build, as the run tells", functools.partial(told_by_run, requests, at_once)),
            Entry("sqb build less sqb compile", functools.partial(less_compile, requests, at_once)),
            Entry("hamilton, async and aiohttp", functools.partial(measure, "hamilton"), is_peer=True),
            Entry("dask, async and aiohttp", functools.partial(measure, "dask"), is_peer=True),
            Entry("dagster, one after the other", functools.partial(measure, "dagster"), is_peer=True, rounds=1),
        ]
        compare(f"W2 {requests:,} requests, {at_once:,} at once", "s", entries, options)


def bare(requests: int, at_once: int) -> Sample:
    return Sample.of(run("-c", BARE.format(requests=requests, at_once=at_once)))


@contextlib.contextmanager
def project(requests: int) -> Iterator[Path]:
    files = {"providers/service.py": PROVIDER, "assets/exports.py": ASSETS.replace("REQUESTS", str(requests))}
    with tempfile.TemporaryDirectory() as folder:
        yield new_project(Path(folder), files)


def told_by_run(requests: int, at_once: int) -> Sample:
    with project(requests) as folder:
        cost = sqb("build", folder, "--quiet", "--concurrency", str(at_once))
        return dataclasses.replace(Sample.of(cost), value=duration_of(folder, requests))


def less_compile(requests: int, at_once: int) -> Sample:
    with project(requests) as folder:
        before = sqb("compile", folder)
    with project(requests) as folder:
        whole = sqb("build", folder, "--quiet", "--concurrency", str(at_once))
    return Sample(value=whole.wall - before.wall, cpu=whole.cpu - before.cpu, peak=whole.peak)


def in_peer(tool: str, requests: int, at_once: int) -> Sample:
    program = Path(__file__).parent / "http_exports_peers" / f"with_{tool}.py"
    with tempfile.TemporaryDirectory() as folder:
        return Sample.of(run(program, str(requests), str(at_once), directory=Path(folder), python=peer(tool)))


if __name__ == "__main__":
    main()
