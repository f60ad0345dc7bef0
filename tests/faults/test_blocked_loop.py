"""Fault 16: an async node that blocks the event loop is named, and harms nobody but in time."""

from __future__ import annotations

import signal

import pytest

TWO_HUNDRED = """
    import pathlib, time
    import anyio
    from sqlbuild.tasks import task

    begun = []

    @task
    async def blocks(ctx):
        while len(begun) < 200:
            await anyio.sleep(0.01)
        time.sleep(2)

    for index in range(200):
        @task(name=f"waits_{index}", timeout=1)
        async def waits(ctx, index=index):
            begun.append(index)
            await anyio.sleep(0.3)
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_node_its_line_and_the_time_are_told_and_the_others_are_only_delayed(faulty, backend):
    faulty.write({"tasks/t.py": TWO_HUNDRED})
    finished = faulty.build("--concurrency", "300", "--backend", backend)
    assert set(faulty.statuses().values()) == {"succeeded"}
    (warning,) = faulty.result("blocks")["warnings"]
    assert warning.startswith("kept the event loop from running for ")
    assert 1.5 < float(warning.split()[7]) < 5
    assert warning.endswith("at tasks/t.py:11")
    assert f"blocks: {warning}" in finished.stdout, "the summary has it"
    assert "tasks/t.py:11" in faulty.log("blocks")
    assert not any(faulty.result(f"waits_{index}")["warnings"] for index in range(200))


def test_with_strict_async_it_fails(faulty):
    faulty.write({"tasks/t.py": TWO_HUNDRED})
    finished = faulty.sqb("build", "--concurrency", "300", "--strict-async")
    assert finished.exit_code == 1, finished.output
    statuses = faulty.statuses()
    assert statuses.pop("blocks") == "failed"
    assert set(statuses.values()) == {"succeeded"}
    assert faulty.result("blocks")["error"]["type"] == "LoopBlocked"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_one_signal_ends_a_run_whose_loop_stays_blocked(faulty, backend):
    faulty.write(
        {
            "tasks/t.py": """
                import pathlib, time
                from sqlbuild.tasks import task

                @task
                async def blocks(ctx):
                    pathlib.Path("started").touch()
                    time.sleep(3600)
            """
        }
    )
    process = faulty.start("build", "--grace", "0.5", "--backend", backend)
    faulty.wait_for(process, "started")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert "tasks/t.py:7" in out


def test_how_long_is_too_long_stands_in_the_settings(faulty):
    faulty.write(
        {
            "sqlbuild_project.toml": 'name = "faulty"\n\n[settings]\nblocked_loop_seconds = 60\n',
            "tasks/t.py": TWO_HUNDRED,
        }
    )
    faulty.build("--concurrency", "300", "--strict-async")
    assert faulty.result("blocks")["warnings"] == []
