"""The graph of a program in an environment of a peer, and the line that tells how long its run took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_graph() -> list[list[int]]:
    """For each node the earlier nodes that it depends on."""
    return json.loads(Path("graph.json").read_text())


@contextmanager
def timed() -> Iterator[None]:
    started, cpu = time.perf_counter(), time.process_time()
    yield
    told = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    print(json.dumps(told), flush=True)
