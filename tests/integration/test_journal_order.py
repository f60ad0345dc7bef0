"""What the journal of a run says while nodes run."""

from __future__ import annotations

import pytest

NODES = """
    import pathlib

    import anyio.to_thread

    from sqlbuild.tasks import task

    def said(ctx, word, node):
        (journal,) = pathlib.Path("target/runs", ctx.run_id).glob("journal.jsonl")
        return any(word in line and f'"task:{node}"' in line for line in journal.read_text().splitlines())

    @task
    async def first(ctx):
        assert said(ctx, '"started":', "first")

    @task(depends_on=first)
    async def second(ctx):
        assert said(ctx, '"finished":', "first") and said(ctx, '"started":', "second")

    @task(depends_on=second)
    def in_a_thread(ctx):
        assert said(ctx, '"finished":', "second") and said(ctx, '"started":', "in_a_thread")

    @task
    async def waits(ctx):
        # Nothing is started after `last`: its end is written because the event loop goes on.
        while not said(ctx, '"finished":', "last"):
            await anyio.to_thread.run_sync(str)

    @task(depends_on=in_a_thread)
    async def last(ctx):
        assert said(ctx, '"finished":', "in_a_thread")
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_end_is_in_the_journal_before_anything_else_happens(project, backend):
    project.write({"python/nodes.py": NODES})
    project.build("--backend", backend)
