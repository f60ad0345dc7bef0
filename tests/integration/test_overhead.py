"""What one more node costs, counted in instructions of Python: the same on every machine, unlike seconds.

`benchmarks/overhead.py` measures the time.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Where a loop stands that is slow because it is counted is not looked.
SETTINGS = """
    name = "shop"

    [settings]
    blocked_loop_seconds = 3600
"""
PROJECT = """
    from sqlbuild.tasks import task

    for index in range({nodes}):
        @task(name=f"noop_{{index:06}}")
        async def noop(ctx, index=index):
            return None
"""
COUNT = """
    import sys, threading

    import sqlbuild.runner.workers
    from sqlbuild.__main__ import main

    # How often a worker lets others have the loop depends on the time that passes: here it never does.
    sqlbuild.runner.workers.SLICE_SECONDS = float("inf")
    instructions = 0

    def count(*where):
        global instructions
        instructions += 1

    def count_opcode(frame, event, argument):
        if event == "opcode":
            count()
        return count_opcode

    def begin(frame, event, argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return count_opcode

    sys.argv = ["sqb", "build", "--quiet"]
    if sys.version_info >= (3, 12):
        events = sys.monitoring.events.INSTRUCTION
        sys.monitoring.use_tool_id(sys.monitoring.PROFILER_ID, "count")
        sys.monitoring.register_callback(sys.monitoring.PROFILER_ID, events, count)
        sys.monitoring.set_events(sys.monitoring.PROFILER_ID, events)
    else:
        threading.settrace(begin)
        sys.settrace(begin)
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    finally:
        counted = instructions
    print(counted)
"""
INSTRUCTIONS = {(3, 11): 6_600, (3, 12): 6_060, (3, 13): 6_080}
"""Of a node, when last looked at: a version of Python has instructions of its own."""
MARGIN = 1.2


def per_node(project, nodes: int) -> float:
    """What the second half of the nodes adds, so that the start of the command is not in it."""
    counted = []
    for number in (nodes // 2, nodes):
        project.write(
            {"sqlbuild_project.toml": SETTINGS, "tasks/t.py": PROJECT.format(nodes=number), "measure.py": COUNT}
        )
        for left in (
            project.root / "shop.duckdb",
            project.root / "target/run_results.json",
            project.root / "target/state.json",
        ):
            left.unlink(missing_ok=True)
        run = subprocess.run(
            [sys.executable, "measure.py"], cwd=project.root, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        results = json.loads((project.root / "target/run_results.json").read_text())["results"]
        assert [result["status"] for result in results] == ["succeeded"] * number
        counted.append(int(run.stdout.splitlines()[-1]))
    return (counted[1] - counted[0]) / (nodes - nodes // 2)


def test_a_node_costs_about_as_many_instructions_as_when_last_counted(project):
    version = sys.version_info[:2]
    if version not in INSTRUCTIONS:
        pytest.skip(f"nobody has counted on Python {version[0]}.{version[1]} yet")
    known, found = INSTRUCTIONS[version], per_node(project, 2_000)
    assert found <= known * MARGIN, f"{found:,.0f} instructions of Python a node, {known:,} when last counted"
    assert found >= known / MARGIN, f"only {found:,.0f} instructions a node: write that in the place of {known:,}"
