"""Fault 23: a hundred thousand nodes in bounded memory, each of them stored."""

from __future__ import annotations

import subprocess
import sys

import pytest

NODES = """
    from sqlbuild.tasks import task

    for index in range(100_000):
        @task(name=f"noop_{index}")
        async def noop(ctx):
            return None
"""
PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""
MAX_MEGABYTES = 450
"""Of the run, above what it takes to read the project; 350 when this was written."""


def peak_megabytes(faulty, *command: str) -> int:
    measured = subprocess.run(
        [sys.executable, "-c", PEAK, "-m", "sqlbuild", *command],
        cwd=faulty.root,
        env=faulty.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(measured.stdout)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_thousand_nodes_need_bounded_memory_and_are_all_stored(faulty):
    faulty.write({"tasks/t.py": NODES})
    read = peak_megabytes(faulty, "compile")
    ran = peak_megabytes(faulty, "build", "--quiet")
    assert ran - read < MAX_MEGABYTES
    counted = "SELECT count(DISTINCT node_id), count(*) FROM _sqlbuild_node_results WHERE status = 'succeeded'"
    assert faulty.query(counted) == [(100_000, 100_000)]
