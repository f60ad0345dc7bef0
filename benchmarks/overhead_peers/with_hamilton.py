"""Async functions of a module made for it; what they depend on are parameters."""

from __future__ import annotations

import asyncio
import sys
import types

from hamilton import ad_hoc_utils, async_driver
from timed import read_graph, timed


def module_of(graph: list[list[int]]) -> types.ModuleType:
    lines = []
    for number, upstreams in enumerate(graph):
        parameters = ", ".join(f"noop_{each}: int" for each in upstreams)
        lines.append(f"async def noop_{number}({parameters}) -> int:\n    return 0\n")
    namespace: dict[str, types.FunctionType] = {}
    exec("\n".join(lines), namespace)
    return ad_hoc_utils.create_temporary_module(*(namespace[f"noop_{number}"] for number in range(len(graph))))


async def main() -> None:
    graph = read_graph()
    driver = await async_driver.Builder().with_modules(module_of(graph)).build()
    has_downstream = {each for upstreams in graph for each in upstreams}
    last = [f"noop_{number}" for number in range(len(graph)) if number not in has_downstream]
    with timed():
        await driver.execute(last)


# A chain is gone down by recursion.
sys.setrecursionlimit(100_000)
asyncio.run(main())
