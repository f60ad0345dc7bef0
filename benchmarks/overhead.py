"""What the engine adds to each node: tasks that do nothing.

The time per node is `sqb build` less `sqb compile` of the same project, both as whole processes; the CPU time is told
too, because it changes less with what else the machine does. The memory is the peak above a bare interpreter. The first
row is what a bare asyncio task group costs for the same number of coroutines.

    python benchmarks/overhead.py [NODES]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from measuring import Cost, new_project, print_table, run, sqb, whole_numbers

FAN = """
from sqlbuild.tasks import task

def make(number):
    @task(name=f"noop_{{number:06}}")
    {keyword} noop(ctx):
        return None

for number in range({nodes}):
    make(number)
"""
CHAIN = """
from sqlbuild.tasks import task

def make(number, upstream):
    @task(name=f"noop_{{number:06}}", depends_on=upstream)
    {keyword} noop(ctx):
        return None
    return noop

upstream = None
for number in range({nodes}):
    upstream = make(number, upstream)
"""
BARE = """
import asyncio

async def noop():
    return None

async def run():
    async with asyncio.TaskGroup() as group:
        for _ in range({nodes}):
            group.create_task(noop())

asyncio.run(run())
"""
SHAPES = (
    ("async def, all independent", FAN, "async def"),
    ("async def, one chain", CHAIN, "async def"),
    ("def, all independent", FAN, "def"),
)


def main() -> None:
    (nodes,) = whole_numbers(__doc__, nodes=10_000)
    python, loop, bare = run("-c", "pass"), run("-c", BARE.format(nodes=0)), run("-c", BARE.format(nodes=nodes))
    rows: list[tuple[object, ...]] = [_row("bare asyncio task group", nodes, python, loop, bare)]
    for name, template, keyword in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            code = template.format(keyword=keyword, nodes=nodes)
            project = new_project(Path(folder), {"tasks/noops.py": code})
            rows.append(_row(name, nodes, python, sqb("compile", project), sqb("build", project, "--quiet")))
    print_table(
        f"{nodes:,} tasks that do nothing",
        ("shape", "before s", "whole s", "ratio", "us/node", "CPU us/node", "peak MB"),
        rows,
    )


def _row(name: str, nodes: int, python: Cost, before: Cost, whole: Cost) -> tuple[object, ...]:
    """`before` is the same without running a node."""
    per_node = (f"{seconds * 1e6 / nodes:,.0f}" for seconds in (whole.wall - before.wall, whole.cpu - before.cpu))
    return (name, before.wall, whole.wall, whole.wall / before.wall, *per_node, f"{whole.peak - python.peak:,.0f}")


if __name__ == "__main__":
    main()
