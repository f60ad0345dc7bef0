"""Thousands of nodes: bounded memory, no recursion, every result stored. Time is measured by benchmarks/, not here."""

from __future__ import annotations

import sys

import pytest

FAN = """
    from sqlbuild.tasks import task

    for index in range(10_000):
        @task(name=f"noop_{index}")
        async def noop(ctx, index=index):
            return None
"""
CHAIN = """
    from sqlbuild.tasks import task

    last = ()
    for index in range(20_000):
        @task(name=f"link_{{index}}", depends_on=last)
        async def link(ctx, index=index):
            if index == {fails_at}:
                raise ValueError("broken link")
        last = link
"""
MEASURED = """
    import resource, subprocess, sys
    subprocess.run([sys.executable, *sys.argv[1:]], check=True)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_kilobytes(project, *command):
    import subprocess

    project.write({"measure.py": MEASURED})
    output = subprocess.run(
        [sys.executable, "measure.py", *command], cwd=project.root, capture_output=True, text=True, check=True
    ).stdout
    return int(output.splitlines()[-1])


@pytest.mark.slow
def test_ten_thousand_tasks_need_little_memory_and_store_every_result(project):
    project.write({"tasks/t.py": FAN})
    bare = peak_kilobytes(project, "-c", "pass")
    used = peak_kilobytes(project, "-m", "sqlbuild", "build", "--quiet")
    assert (used - bare) / 1024 < 150, f"{(used - bare) / 1024:.0f} MB above the interpreter"
    assert project.rows(
        "SELECT count(DISTINCT node_name), count(*) FROM _sqlbuild_node_results WHERE status = 'succeeded'"
    ) == [(10_000, 10_000)]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_chain_of_20000_nodes_runs_without_recursion(project, backend):
    project.write({"tasks/t.py": CHAIN.format(fails_at=-1)})
    project.build("--quiet", "--backend", backend)
    assert project.rows("SELECT count(*) FROM _sqlbuild_node_results WHERE status = 'succeeded'") == [(20_000,)]


@pytest.mark.slow
def test_a_broken_chain_of_20000_nodes_is_blocked_without_recursion(project):
    project.write({"tasks/t.py": CHAIN.format(fails_at=3)})
    finished = project.sqb("build")
    assert finished.code == 1
    assert len(finished.out.splitlines()) < 100, "a blocked cascade stays readable"
    assert project.rows("SELECT count(*) FROM _sqlbuild_node_results WHERE status = 'blocked'") == [(19_996,)]


@pytest.mark.slow
def test_a_cycle_of_10000_nodes_is_one_short_error(project):
    models = {f"models/m{index}.sql": f'SELECT * FROM __ref("m{(index + 1) % 10_000}")\n' for index in range(10_000)}
    finished = project.write(models).sqb("compile")
    assert finished.code == 2
    assert "error[CYCLE]" in finished.err
    assert len(finished.err) < 5_000
