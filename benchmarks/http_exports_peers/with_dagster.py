"""Assets in one process, which runs them one after the other."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import urllib.request

from dagster import AssetsDefinition, DagsterInstance, asset, materialize

REQUESTS = int(sys.argv[1])


def make(number: int) -> AssetsDefinition:
    @asset(name=f"export_{number}")
    def export() -> None:
        with urllib.request.urlopen(f"{os.environ['BENCH_SERVICE']}/{number}") as answer:
            assert len(answer.read()) == 2

    return export


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    assets = [make(number) for number in range(REQUESTS)]
    with DagsterInstance.ephemeral() as instance:
        started = time.perf_counter()
        done = materialize(assets, instance=instance)
        told = {"seconds": time.perf_counter() - started}
    assert done.success
    print(json.dumps(told))
