"""Faults 17 and 18: what fails is told once, what it stops is told once, and nothing else is touched."""

from __future__ import annotations

import collections

import pytest

SIBLINGS = """
    import anyio
    from sqlbuild.tasks import task

    begun = []

    @task
    async def fails(ctx):
        while len(begun) < 50:
            await anyio.sleep(0.01)
        raise ValueError("the cause")

    @task(depends_on=fails)
    async def child(ctx): ...

    @task(depends_on=child)
    async def grandchild(ctx): ...

    for index in range(50):
        @task(name=f"sibling_{index}")
        async def sibling(ctx, index=index):
            begun.append(index)
            while len(begun) < 50:
                await anyio.sleep(0.01)
            await anyio.sleep(ctx.vars["seconds"])

        @task(name=f"after_{index}", depends_on=sibling)
        async def after(ctx): ...
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("flags", "seconds"), [(("--fail-fast",), 3600), ((), 0.1)], ids=["fail-fast", "no flag"])
def test_one_failure_among_fifty_siblings(faulty, backend, flags, seconds):
    faulty.write({"tasks/t.py": SIBLINGS})
    finished = faulty.sqb("build", "--backend", backend, "--vars", f'{{"seconds": {seconds}}}', *flags, timeout=60)
    assert finished.exit_code == 1, finished.output
    statuses = faulty.statuses()
    assert statuses["fails"] == "failed"
    assert (statuses["child"], statuses["grandchild"]) == ("blocked", "blocked")
    assert faulty.result("grandchild")["because_of"] == ["task:fails"]
    siblings = {statuses[f"sibling_{index}"] for index in range(50)}
    after = {statuses[f"after_{index}"] for index in range(50)}
    assert (siblings, after) == (({"cancelled"}, {"not_started"}) if flags else ({"succeeded"}, {"succeeded"}))
    stored = faulty.query("SELECT node_name, count(*) FROM _sqlbuild_node_results GROUP BY ALL HAVING count(*) > 1")
    assert stored == []
    assert finished.stdout.count("ValueError: the cause") <= 2, "as it happens and in the summary"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_failures_of_one_moment_are_all_told_and_bounded(faulty, backend):
    faulty.write(
        {
            "tasks/t.py": """
                import anyio
                from sqlbuild.tasks import task

                ready = []

                class Hostile(Exception):
                    def __str__(self):
                        raise RuntimeError("no text")

                async def together(name):
                    ready.append(name)
                    while len(ready) < 4:
                        await anyio.sleep(0)

                @task
                async def huge(ctx):
                    await together("huge")
                    raise ValueError("x" * 5_000_000)

                @task
                async def unprintable(ctx):
                    await together("unprintable")
                    raise ValueError("\\x1b[31m\\x00\\ud800 \\u202e")

                @task
                async def hostile(ctx):
                    await together("hostile")
                    raise Hostile()

                @task
                async def group(ctx):
                    await together("group")

                    async def fail(error):
                        raise error

                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(fail, ValueError("one of two"))
                        tasks.start_soon(fail, KeyError("two of two"))

                @task
                async def fine(ctx): ...
            """
        }
    )
    finished = faulty.sqb("build", "--backend", backend)
    assert finished.exit_code == 1, finished.output[-2_000:]
    assert collections.Counter(faulty.statuses().values()) == {"failed": 4, "succeeded": 1}
    assert len(finished.output) < 200_000
    assert "\x1b" not in finished.output
    told = {name: faulty.result(name)["error"] for name in ("huge", "unprintable", "hostile", "group")}
    assert len(told["huge"]["message"]) <= 110_000
    assert told["hostile"]["type"] == "tasks.t.Hostile"
    assert "one of two" in told["group"]["traceback"]
    assert "two of two" in told["group"]["traceback"]
