"""Many calls to one service: it is never asked for more than the settings say, and nothing finished is repeated."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOLERANCE_SECONDS = 0.1


class StubService:
    """HTTP on loopback. `answer` says what request n (from 1) gets: 201, 500, "reset", or (429, seconds)."""

    def __init__(self, answer: Callable[[int], Any], latency: float = 0.05) -> None:
        self.arrivals: list[float] = []
        self.told_to_wait: list[tuple[float, float]] = []
        self.done: Counter[int] = Counter()
        self.at_once = self.most_at_once = 0
        self._answer = answer
        self._latency = latency
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub._serve(self, body)

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None: ...

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _serve(self, request: BaseHTTPRequestHandler, body: Any) -> None:
        with self._lock:
            self.arrivals.append(time.monotonic())
            number = len(self.arrivals)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._latency)
        answer = self._answer(number)
        with self._lock:
            # Before the answer is sent: the client may send its next request before this thread goes on.
            self.at_once -= 1
            if answer == 201:
                self.done[body["order_id"]] += 1
            elif isinstance(answer, tuple):
                self.told_to_wait.append((time.monotonic(), answer[1]))
        if answer == "reset":
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
            request.close_connection = True
            return
        status, wait = answer if isinstance(answer, tuple) else (answer, None)
        request.send_response(status)
        if wait is not None:
            request.send_header("Retry-After", str(wait))
        request.send_header("Content-Length", "0")
        request.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def assert_rate(self, per_second: float, burst: int = 1) -> None:
        """In any window; a request may be late on its way by the tolerance, and the one after it on time."""
        moments = sorted(self.arrivals)
        for first, start in enumerate(moments):
            for last in range(first + 1, len(moments)):
                seconds = moments[last] - start + TOLERANCE_SECONDS
                assert last - first + 1 <= per_second * seconds + burst

    def assert_waits_were_kept(self) -> None:
        """What was sent before the answer got back may still arrive."""
        for told, wait in self.told_to_wait:
            early = [at - told for at in self.arrivals if TOLERANCE_SECONDS < at - told < wait - TOLERANCE_SECONDS]
            assert not early


@pytest.fixture
def stub() -> Iterator[Callable[..., StubService]]:
    with contextlib.ExitStack() as running:

        def start(*args: Any, **options: Any) -> StubService:
            service = StubService(*args, **options)
            running.callback(service.close)
            return service

        yield start


RESOLVE = """
import aiohttp.connector, os

class ToTheStub(aiohttp.connector.DefaultResolver):
    async def resolve(self, host, port=0, family=0):
        assert host == "crm.local"
        address = {"hostname": host, "host": "127.0.0.1", "port": int(os.environ["STUB_PORT"])}
        return [{**address, "family": 2, "proto": 0, "flags": 0}]

aiohttp.connector.DefaultResolver = ToTheStub
"""
"""crm.local is where the example posts to; an address of its own would need an entry in the system's hosts."""

ROWS = 160


def example(path: Path) -> str:
    """The code of the page, as it stands there."""
    (code,) = re.findall(r'^```python title="assets/exports.py"\n(.*?)^```', path.read_text(), re.M | re.S)
    return code


@pytest.mark.slow
def test_the_documented_export_posts_no_finished_row_twice_whatever_the_service_does(project, stub, tmp_path):
    troubles = {30: 500, 70: (429, 2), 110: "reset"}
    service = stub(lambda number: troubles.get(number, 201))
    rows = f"SELECT range AS order_id, range * 100 AS total_cents FROM range({ROWS})"
    project.write(
        {
            "sqlbuild_project.toml": 'name = "shop"\n[pools.crm_api]\nslots = 8\nrate = "50/s"\n',
            "models/fact_orders.sql": f"MODEL (materialized table);\n{rows}\n",
            "assets/exports.py": example(ROOT / "docs" / "fan-out.md"),
            "elsewhere/sitecustomize.py": RESOLVE,
        }
    )
    built = project.sqb(
        "build", env={"PYTHONPATH": str(tmp_path / "elsewhere"), "STUB_PORT": str(service.port)}, timeout=60
    )
    assert built.code == 0, built.everything
    assert service.done == Counter(range(ROWS))
    assert len(service.arrivals) == ROWS + len(troubles)
    assert service.most_at_once <= 8
    service.assert_rate(50.0)
    service.assert_waits_were_kept()
    assert project.result("push_orders")["attempt"] == 4
    assert "paused      pool crm_api for 2.00 s, as push_orders was told" in built.out
    assert project.result("push_orders")["metadata"] == {"rows": ROWS}


CALLS = """
import json, os, urllib.request

import aiohttp
from sqlbuild.tasks import AsyncTaskContext, TaskContext, task

ADDRESS = "http://127.0.0.1:" + os.environ["STUB_PORT"]

for number in range(20):

    @task(name=f"calls_{number:02}")
    async def calls(ctx: AsyncTaskContext, number=number):
        async with aiohttp.ClientSession(ADDRESS, raise_for_status=True) as service:
            async def call(order_id):
                async with service.post("/", json={"order_id": order_id}):
                    pass
            await ctx.map(call, range(number * 10, number * 10 + 10), limit=3, pool="service")

for number in range(20, 40):

    @task(name=f"calls_{number:02}")
    def calls_of_a_thread(ctx: TaskContext, number=number):
        for order_id in range(number * 10, number * 10 + 10):
            with ctx.pool("service"):
                body = json.dumps({"order_id": order_id}).encode()
                urllib.request.urlopen(urllib.request.Request(ADDRESS, body)).read()
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio"])
def test_async_nodes_and_threads_together_keep_slots_and_rate(project, stub, backend):
    service = stub(lambda _: 201, latency=0.04)
    project.write(
        {
            "sqlbuild_project.toml": 'name = "shop"\n[pools.service]\nslots = 8\nrate = "100/s"\nburst = 5\n',
            "tasks/calls.py": CALLS,
        }
    )
    project.build("--backend", backend, env={"STUB_PORT": str(service.port)})
    assert service.done == Counter(range(400))
    assert service.most_at_once <= 8
    service.assert_rate(100.0, 5)
    seconds = max(service.arrivals) - min(service.arrivals)
    assert 0.8 * (100 * seconds + 5) <= 400, "the rate is hardly used; 90 % on a machine that does nothing else"
