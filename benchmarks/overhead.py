"""What the engine adds to each node: tasks that do nothing.

The time per node is `sqb build` less `sqb compile` of the same project, both as whole processes; the memory is the
peak of `sqb build` above a bare interpreter.

    python benchmarks/overhead.py [NODES]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measuring import new_project, print_table, run, sqb

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
SHAPES = (
    ("async def, all independent", FAN, "async def"),
    ("async def, one chain", CHAIN, "async def"),
    ("def, all independent", FAN, "def"),
)


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    bare = run("-c", "pass")
    rows = []
    for name, template, keyword in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            code = template.format(keyword=keyword, nodes=nodes)
            project = new_project(Path(folder), {"tasks/noops.py": code})
            compiled = sqb("compile", project)
            built = sqb("build", project, "--quiet")
        per_node = (built.wall - compiled.wall) * 1e6 / nodes
        rows.append((name, compiled.wall, built.wall, f"{per_node:,.0f}", built.wall / compiled.wall,
                     f"{built.peak - bare.peak:,.0f}"))  # fmt: skip
    print_table(
        f"{nodes:,} tasks that do nothing",
        ("shape", "compile s", "build s", "run us/node", "build / compile", "peak MB above python"),
        rows,
    )


if __name__ == "__main__":
    main()
