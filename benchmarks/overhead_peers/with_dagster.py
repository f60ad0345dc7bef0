"""Assets in one process, with an instance in memory."""

from __future__ import annotations

import logging

from dagster import AssetsDefinition, DagsterInstance, asset, materialize
from timed import read_graph, timed


def make(number: int, upstreams: list[int]) -> AssetsDefinition:
    @asset(name=f"noop_{number}", deps=[f"noop_{each}" for each in upstreams])
    def noop() -> None:
        return None

    return noop


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    assets = [make(number, upstreams) for number, upstreams in enumerate(read_graph())]
    with DagsterInstance.ephemeral() as instance, timed():
        done = materialize(assets, instance=instance)
    assert done.success
