"""Fault 14: a node that does not end when it is cancelled is named, and the run ends all the same."""

from __future__ import annotations

import pytest

STUBBORN = """
    import anyio
    from sqlbuild.tasks import task

    @task{options}
    async def swallows(ctx):
        while True:
            try:
                await anyio.sleep(3600)
            except BaseException:
                pass

    @task{options}
    async def waits_in_a_shield(ctx):
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3600)

    @task
    async def other(ctx):
        await anyio.sleep(0.1)

    @task(depends_on=swallows)
    async def later(ctx): ...
"""
FAILS = """
    @task
    async def fails(ctx):
        await anyio.sleep(0.1)
        raise ValueError("stop")
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stopped_run_ends_after_the_grace_time_and_is_not_called_clean(faulty, backend):
    faulty.write({"tasks/t.py": STUBBORN.format(options="") + FAILS})
    finished = faulty.sqb("build", "--fail-fast", "--grace", "0.5", "--backend", backend, timeout=30)
    assert finished.exit_code == 5, finished.output
    statuses = faulty.statuses()
    for name in ("swallows", "waits_in_a_shield"):
        assert statuses[name] == "unknown"
        assert f"{name}: it still ran when the run ended" in finished.stdout
    assert (statuses["fails"], statuses["later"]) == ("failed", "blocked")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_node_that_does_not_end_at_its_limit_is_written_off_and_the_others_go_on(faulty, backend):
    faulty.write({"tasks/t.py": STUBBORN.format(options="(timeout=0.5)")})
    finished = faulty.sqb("build", "--grace", "0.5", "--backend", backend, timeout=30)
    assert finished.exit_code == 5, finished.output
    assert faulty.statuses() == {
        "swallows": "timed_out",
        "waits_in_a_shield": "timed_out",
        "other": "succeeded",
        "later": "blocked",
    }
    for name in ("swallows", "waits_in_a_shield"):
        assert f"{name}: it did not end within 0.5 s of being cancelled, and still ran" in finished.stdout


def test_what_waits_for_its_slot_is_not_waited_for(faulty):
    faulty.write({"tasks/t.py": STUBBORN.format(options="(timeout=0.5)")})
    finished = faulty.sqb("build", "--grace", "0.5", "--concurrency", "1", timeout=30)
    assert finished.exit_code == 5, finished.output
    assert faulty.statuses()["swallows"] == "timed_out"
    assert "not_started" in faulty.statuses().values()
