"""Nodes overlap: told by what they see of each other, and by ratios to the waiting they contain, never by bare seconds."""

from __future__ import annotations

import json

import pytest

WAITING = """
    import anyio, time
    from sqlbuild.assets import asset

    for index in range(200):
        @asset(name=f"wait_{{index}}")
        {kind} wait(ctx):
            {sleep}(0.5)
            return ctx.result(materialized=True)
"""


def timed_build(project, *args):
    project.build(*args)
    document = json.loads((project.root / "target/run_results.json").read_text())
    assert [result["status"] for result in document["results"]] == ["succeeded"] * 200
    return document["duration"]


def test_200_async_assets_wait_together(project):
    project.write({"assets/waits.py": WAITING.format(kind="async def", sleep="await anyio.sleep")})
    assert timed_build(project, "--concurrency", "200") < 200 * 0.5 / 20
    assert timed_build(project) < 200 * 0.5 / 20


def test_200_def_assets_wait_on_all_threads(project):
    project.write({"assets/waits.py": WAITING.format(kind="def", sleep="time.sleep")})
    assert timed_build(project, "--threads", "50") < 200 * 0.5 / 20


def test_a_chain_of_models_is_not_delayed_by_exports(project):
    """Every export waits until the last model is built; if models waited for exports this would never end."""
    chain = {
        f"models/m{index}.sql": f'MODEL (materialized table);\nSELECT i + 1 AS i FROM __ref("m{index - 1}")\n'
        for index in range(1, 8)
    }
    project.write(
        {
            "models/m0.sql": "MODEL (materialized table);\nSELECT 0 AS i\n",
            **chain,
            "assets/exports.py": """
                import anyio, pathlib
                from sqlbuild.assets import asset
                from sqlbuild.refs import model

                @asset(depends_on=model("m7"))
                def last_model_is_built(ctx):
                    pathlib.Path("built").touch()

                for index in range(300):
                    @asset(name=f"export_{index}")
                    async def export(ctx):
                        with anyio.fail_after(60):
                            while not pathlib.Path("built").exists():
                                await anyio.sleep(0.02)
            """,
        }
    )
    project.build("--concurrency", "300")
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_python_nodes_and_models_overlap_on_both_backends(project, backend):
    project.write(
        {
            "models/slow.sql": "MODEL (materialized table);\nSELECT count(*) AS n FROM range(30000000) t(i) WHERE i % 7 = 3\n",
            "tasks/t.py": """
                import anyio, threading
                from sqlbuild.tasks import task

                both = threading.Barrier(2, timeout=30)

                @task
                def first(ctx):
                    both.wait()

                @task
                def second(ctx):
                    both.wait()

                @task
                async def third(ctx):
                    await anyio.sleep(0)
                    return 3
            """,
        }
    )
    project.build("--backend", backend)
    assert set(project.statuses().values()) == {"succeeded"}
