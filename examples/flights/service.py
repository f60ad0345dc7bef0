"""A small registry of exports over HTTP, with the latency of a far service; stands in for any API you call.

POST /summaries (JSON) keeps a summary and answers with a receipt; GET /summaries?run_id=... lists what a run posted.
Every summary takes 200 ms, and the first try of every twentieth is refused with status 503.

    python service.py [PORT]      prints its address once it listens; without PORT on any free port
"""

import asyncio
import sys

from aiohttp import web

LATENCY_SECONDS = 0.2
REFUSE_EVERY = 20


class Registry:
    def __init__(self) -> None:
        self.summaries: dict[tuple[str, str], dict[str, object]] = {}
        self.seen: set[tuple[str, str]] = set()

    async def post(self, request: web.Request) -> web.Response:
        summary = await request.json()
        key = (str(summary["run_id"]), str(summary["slice"]))
        await asyncio.sleep(LATENCY_SECONDS)
        first_try = key not in self.seen
        self.seen.add(key)
        if first_try and len(self.seen) % REFUSE_EVERY == 0:
            raise web.HTTPServiceUnavailable(text="busy, try again")
        self.summaries[key] = summary
        return web.json_response({"receipt": f"R{len(self.summaries):05d}"}, status=201)

    async def list(self, request: web.Request) -> web.Response:
        run_id = request.query.get("run_id")
        return web.json_response([summary for key, summary in self.summaries.items() if run_id in (None, key[0])])

    async def healthy(self, _: web.Request) -> web.Response:
        return web.json_response({"healthy": True})


async def serve(port: int) -> None:
    registry = Registry()
    app = web.Application()
    app.router.add_post("/summaries", registry.post)
    app.router.add_get("/summaries", registry.list)
    app.router.add_get("/health", registry.healthy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    host, bound_port = runner.addresses[0][:2]
    print(f"http://{host}:{bound_port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    except KeyboardInterrupt:
        pass
