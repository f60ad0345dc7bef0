from __future__ import annotations

import json
import re

import pytest

NOISY = """
    import asyncio
    import contextvars
    import logging
    import sys
    import threading

    import anyio

    from sqlbuild.retries import RetryPolicy
    from sqlbuild.tasks import task

    log = logging.getLogger(__name__)


    def say(name, number):
        print(name, "prints", number)
        log.info("%s logs %d", name, number)
        sys.stderr.write(f"{name} writes {number}\\n")


    for index in range(12):

        @task(name=f"sync_{index}")
        def sync_node(ctx, index=index):
            for number in range(50):
                say(ctx.node_name, number)
                ctx.log(f"{ctx.node_name} tells {number}", rows=number)
            thread = threading.Thread(target=contextvars.copy_context().run, args=(say, ctx.node_name, 50))
            thread.start()
            thread.join()

        @task(name=f"async_{index}")
        async def async_node(ctx, index=index):
            async with anyio.create_task_group() as children:
                for number in range(51):
                    children.start_soon(anyio.to_thread.run_sync, say, ctx.node_name, number)
            for number in range(50):
                await anyio.sleep(0)
                ctx.log(f"{ctx.node_name} tells {number}", rows=number)


    @task
    def silent(ctx): ...


    @task(retry=RetryPolicy(2, initial_delay_seconds=0))
    def failing(ctx):
        log.warning("low on %s", "ink")
        raise LookupError("no such order")
"""


def kept(project, name: str, attempt: int = 1) -> str:
    (path,) = project.root.glob(f"target/runs/*/logs/{name}.{attempt}.log")
    return path.read_text()


def test_what_nodes_say_at_once_is_kept_apart_and_whole(project):
    finished = project.write({"tasks/noisy.py": NOISY}).sqb("build")
    assert finished.code == 1
    for kind in ("sync", "async"):
        for index in range(12):
            name = f"{kind}_{index}"
            lines = [re.sub(r"^\S+ \S+ +", "", line) for line in kept(project, name).splitlines()]
            said = [f"{name} {how} {number}" for how in ("prints", "logs", "writes") for number in range(51)]
            told = [f"{name} tells {number}\trows={number}" for number in range(50)]
            assert sorted(lines) == sorted(said + told)
    assert not list(project.root.glob("target/runs/*/logs/silent*"))


def test_a_failure_points_to_its_log_with_every_attempt(project):
    finished = project.write({"tasks/noisy.py": NOISY}).sqb("build", "failing")
    result = project.result("failing")
    assert result["log"] == f"target/runs/{json_run(project)}/logs/failing.2.log"
    assert f"log: {result['log']}" in finished.out
    assert "warning     failing: low on ink" in finished.out
    for attempt, ending in ((1, ", tried again in 0 s"), (2, "")):
        text = kept(project, "failing", attempt)
        assert "warning  low on ink" in text
        assert f"attempt {attempt} failed{ending}: LookupError: no such order\n  Traceback (most recent" in text


def json_run(project) -> str:
    return json.loads((project.root / "target/run_results.json").read_text())["run_id"]


@pytest.mark.parametrize(("options", "shown"), [((), False), (("--verbose",), True)])
def test_the_console_shows_what_is_printed_only_when_asked(project, options, shown):
    finished = project.write({"tasks/noisy.py": NOISY}).build("sync_0", *options)
    assert ("sync_0: sync_0 prints 0" in finished.out) is shown
    assert ("sync_0: sync_0 tells 0 rows=0" in finished.out) is shown


def test_show_logs_prints_them_by_attempt_and_by_run(project):
    project.write({"tasks/noisy.py": NOISY}).sqb("build", "failing", "silent")
    first = json_run(project)
    whole = project.sqb("show", "failing", "--logs").out
    assert whole.count("low on ink") == 2
    assert f"task:failing, run {first}, attempt 1: target/runs/{first}/logs/failing.1.log" in whole
    assert project.sqb("show", "failing", "--logs", "--attempt", "2").out.count("low on ink") == 1
    for name, had in (("failing", "attempts 1 to 2"), ("silent", "one attempt")):
        refused = project.sqb("show", name, "--logs", "--attempt", "9")
        assert (refused.code, refused.out) == (2, "")
        assert f"task:{name} had no attempt 9 in run {first}\n  help: it had {had}\n" in refused.err
    document = project.sqb("show", "failing", "--logs", "--json").json
    assert [entry["attempt"] for entry in document["logs"]] == [1, 2]
    message = document["logs"][1]["messages"][0]
    assert (message["level"], message["message"], message["fields"]) == ("warning", "low on ink", {})
    assert project.sqb("show", "silent", "--logs").out == f"task:silent said nothing in run {first}\n"
    assert f"log: target/runs/{first}/logs/failing.2.log" in project.sqb("show", "failing").out
    project.write({"tasks/noisy.py": "from sqlbuild.tasks import task\n\n\n@task\ndef failing(ctx): ...\n"}).build()
    quiet = project.sqb("show", "failing", "--logs").out
    assert quiet.endswith(f"; its newest log: sqb show failing --logs --run {first}\n")
    assert project.sqb("show", "failing", "--logs", "--run", first).out == whole


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("failing", "--logs", "--run", "x"), 2, "there is no run x of target dev"),
        (("failing", "--attempt", "1"), 2, "give --logs too"),
        (("failing", "--logs"), 0, "task:failing has not run yet, or its runs are not kept any more"),
        (("numbers", "--logs"), 0, "a model has no log: only Python nodes do"),
    ],
)
def test_show_logs_without_any_says_why(project, arguments, code, told):
    project.write({"tasks/noisy.py": NOISY, "models/numbers.sql": "SELECT 1 AS a"})
    finished = project.sqb("show", *arguments)
    assert finished.code == code
    assert told in finished.everything


def test_what_the_hooks_of_a_model_log_is_shown_with_it(project):
    hooks = """
        from sqlbuild.hooks import hook


        @hook
        def announce(ctx):
            ctx.log("the room is ready")
    """
    project.write(
        {"hooks/python/rooms.py": hooks, "models/hooked.sql": 'MODEL (post_hooks [python("announce")]);\nSELECT 1 AS a'}
    )
    project.build()
    shown = project.sqb("show", "hooked", "--logs")
    assert shown.code == 0
    assert "the room is ready" in shown.out


def test_logs_go_with_their_runs(project):
    project.write({"tasks/noisy.py": NOISY, "sqlbuild_project.toml": 'name = "shop"\n[settings]\nkeep_runs = 1\n'})
    for _ in range(4):
        project.build("sync_0")
    assert len(list(project.root.glob("target/runs/*/logs/sync_0.1.log"))) == 2


def test_a_log_folder_that_cannot_be_made_fails_nothing(project):
    blocking = """
        from pathlib import Path

        from sqlbuild.tasks import task


        @task
        def talking(ctx):
            Path("target/runs", ctx.run_id, "logs").write_text("in the way")
            print("nobody will know")
    """
    finished = project.write({"tasks/a.py": blocking}).build()
    assert finished.out.count("logs of nodes cannot be written to target/runs/") == 2, "as it happens, and at the end"


def test_items_of_a_map_and_nodes_in_processes_speak_for_their_node(project):
    nodes = """
        import logging

        from sqlbuild.tasks import task

        log = logging.getLogger(__name__)


        @task
        def mapping(ctx):
            ctx.map(lambda item: (print("printed", item), log.info("logged %d", item)), range(200), limit=8)


        @task(isolate="process")
        def apart(ctx):
            print("printed", ctx.node_name)
            log.error("logged")
            ctx.log("told", rows=3)
    """
    finished = project.write({"tasks/many.py": nodes}).build()
    told = [line[25:] for line in kept(project, "mapping").splitlines()]
    expected = [f"print    printed {n}" for n in range(200)] + [f"info     logged {n}" for n in range(200)]
    assert sorted(told) == sorted(expected)
    apart = [line[25:] for line in kept(project, "apart").splitlines()]
    assert sorted(apart) == ["error    logged", "info     told\trows=3", "print    printed apart"]
    assert "error       apart: logged" in finished.out
