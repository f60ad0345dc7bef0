"""Builds in this very process: what they give, and that they leave nothing of themselves behind."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import logging
import os
import re
import signal
import sys
import textwrap
import threading
from pathlib import Path

import anyio
import pytest

import sqlbuild
from sqlbuild.app.python_arguments import _TAKES
from sqlbuild.errors import ProjectAlreadyOpen, ProjectError, RunFailed, SelectionError
from sqlbuild.events import NodeFinished, NodeLogged, RunFinished
from sqlbuild.results import NodeKind, Status
from sqlbuild.tasks import task
from sqlbuild.testing import run_node

NODES = """
    from sqlbuild.assets import asset
    from sqlbuild.refs import model
    from sqlbuild.tasks import task

    @task
    def export_orders(ctx):
        print("exporting")
        return ctx.result({"rows": ctx.vars.get("rows", 3)}, metadata={"path": "orders.csv"})

    @asset(depends_on=(export_orders, model("fact_orders")))
    async def orders_report(ctx):
        total = await ctx.query(f"SELECT sum(total) FROM {ctx.relation(model('fact_orders'))}").scalar()
        return ctx.result({"rows": ctx.result_of(export_orders).payload["rows"], "total": total}, materialized=True)
"""
MODEL = "MODEL (materialized table);\nSELECT * FROM (VALUES (1, 10), (2, 20)) AS t(order_id, total)\n"
WAITING = """
    import pathlib
    import anyio
    from sqlbuild.tasks import task

    @task
    async def waits(ctx):
        pathlib.Path("started").touch()
        try:
            await anyio.sleep(3600)
        finally:
            pathlib.Path("cleaned").touch()

    @task(depends_on=waits)
    def later(ctx): ...
"""


@pytest.fixture
def project(tmp_path):
    """Write files and get the folder; `project()` alone writes a project of three nodes."""

    def write(**files):
        named = files or {"tasks/nodes.py": NODES, "models/fact_orders.sql": MODEL}
        for name, text in {"sqlbuild_project.toml": 'name = "shop"\n', **named}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path

    return write


def test_a_build_from_python_tells_how_every_node_ended(project):
    result = sqlbuild.build(project())
    assert result.ok
    assert (result.exit_code, result.failures) == (0, ())
    report = result["orders_report"]
    assert (report.kind, report.status, report.materialized) == (NodeKind.ASSET, Status.SUCCEEDED, True)
    assert report.payload == {"rows": 3, "total": 30}
    assert result["task:export_orders"].metadata == {"path": "orders.csv"}
    assert report.started_at <= report.finished_at
    assert report.started_at.tzinfo is not None
    assert {node.name for node in result} == {"fact_orders", "export_orders", "orders_report"}
    assert "fact_orders" in result
    assert "nothing" not in result
    assert repr(report) == "<asset orders_report succeeded>"
    with pytest.raises(KeyError, match="orders_report"):
        result["order_report"]


def test_selectors_and_variables_are_those_of_the_command(project):
    folder = project()
    result = sqlbuild.build(folder, select="export_orders fact_orders", exclude=["fact_orders"], vars={"rows": 8})
    assert [node.name for node in result] == ["export_orders"]
    assert result["export_orders"].payload == {"rows": 8}
    with pytest.raises(SelectionError, match="nothing_like_it") as refused:
        sqlbuild.build(folder, select=["nothing_like_it"])
    assert refused.value.__notes__ == [f"help: {refused.value.help}"]


def test_the_project_around_a_folder_is_found(project, monkeypatch):
    monkeypatch.chdir(project() / "models")
    assert sqlbuild.build(select="export_orders").ok


def test_a_node_that_fails_does_not_raise_until_asked(project):
    folder = project(**{"tasks/t.py": "from sqlbuild.tasks import task\n@task\ndef broken(ctx):\n    1 / 0\n"})
    result = sqlbuild.build(folder)
    assert not result.ok
    assert result.exit_code == 1
    assert [failure.name for failure in result.failures] == ["broken"]
    assert result["broken"].error.line == 4
    with pytest.raises(RunFailed, match=r"(?s)1 failed.*task broken: ZeroDivisionError.*tasks/t.py:4") as raised:
        result.raise_for_failures()
    assert raised.value.exit_code == 1


def test_a_run_that_succeeded_comes_back_from_the_question(project):
    result = sqlbuild.build(project())
    assert result.raise_for_failures() is result


def test_every_problem_of_a_project_stands_in_the_error(project):
    folder = project(**{"models/a.sql": 'SELECT * FROM __ref("x")', "models/b.sql": 'SELECT * FROM __ref("y")'})
    with pytest.raises(ProjectError, match=r'(?s)models/a.sql:1.*"x".*models/b.sql:1.*"y"'):
        sqlbuild.build(folder)
    assert os.getcwd() != str(folder)


def test_what_a_notebook_shows_is_escaped(project):
    nodes = (
        "from sqlbuild.tasks import task\n@task\ndef broken(ctx):\n    raise ValueError('<script>alert(1)</script>')\n"
    )
    shown = sqlbuild.build(project(**{"tasks/t.py": nodes}))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "broken" in shown


async def test_abuild_runs_on_the_loop_that_is_there(project):
    result = await sqlbuild.abuild(project(), select="+orders_report")
    assert result.ok
    assert result["orders_report"].payload["total"] == 30


def test_abuild_runs_on_uvloop(project):
    pytest.importorskip("uvloop")

    async def main():
        return await sqlbuild.abuild(project())

    assert anyio.run(main, backend_options={"use_uvloop": True}).ok


async def test_build_inside_a_loop_names_abuild(project):
    with pytest.raises(RuntimeError, match=r"await sqlbuild.abuild"):
        sqlbuild.build(project())


async def test_a_file_may_run_an_event_loop_while_it_is_imported(project):
    nodes = """
        import anyio
        from sqlbuild.tasks import task

        async def fetched():
            return 7

        NUMBER = anyio.run(fetched)

        @task
        def number(ctx):
            return NUMBER
    """
    assert (await sqlbuild.abuild(project(**{"tasks/t.py": nodes})))["number"].payload == 7


async def test_cancelling_abuild_stops_the_run_as_ctrl_c_does(project):
    folder = project(**{"tasks/t.py": WAITING})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sqlbuild.abuild, folder)
        while not (folder / "started").exists():
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    _assert_stopped(folder)


def test_a_task_that_is_cancelled_twice_still_writes_everything(project):
    folder = project(**{"tasks/t.py": WAITING})

    async def main():
        building = asyncio.ensure_future(sqlbuild.abuild(folder))
        while not (folder / "started").exists():
            await asyncio.sleep(0.01)
        building.cancel()
        await asyncio.sleep(0)
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building

    asyncio.run(main())
    _assert_stopped(folder)


def _assert_stopped(folder):
    assert (folder / "cleaned").exists()
    document = json.loads((folder / "target/run_results.json").read_text())
    assert document["counts"] == {"cancelled": 1, "not_started": 1}
    assert (document["stopped_by"], document["exit_code"]) == ("cancellation", 130)
    assert json.loads((folder / "target/state.json").read_text())
    journal = next((folder / "target/runs").iterdir()) / "journal.jsonl"
    assert '"ended"' in journal.read_text().splitlines()[-1]


def test_edited_files_are_read_again(project):
    folder = project()
    assert sqlbuild.build(folder, select="export_orders")["export_orders"].payload == {"rows": 3}
    (folder / "tasks/nodes.py").write_text(textwrap.dedent(NODES).replace('"rows", 3', '"rows", 4'))
    assert sqlbuild.build(folder, select="export_orders")["export_orders"].payload == {"rows": 4}


def test_two_projects_are_built_one_after_the_other(project, tmp_path):
    other = tmp_path / "other"
    first = project()
    (other / "tasks").mkdir(parents=True)
    (other / "sqlbuild_project.toml").write_text('name = "other"\n')
    (other / "tasks/nodes.py").write_text("from sqlbuild.tasks import task\n@task\ndef export_orders(ctx): return 1\n")
    assert sqlbuild.build(first)["export_orders"].payload == {"rows": 3}
    assert sqlbuild.build(other)["export_orders"].payload == 1


def test_a_build_runs_on_any_thread(project):
    folder, results = project(), []
    thread = threading.Thread(target=lambda: results.append(sqlbuild.build(folder)))
    thread.start()
    thread.join()
    assert results[0].ok


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_twenty_builds_leave_nothing_behind(project, backend):
    folder = project()
    sqlbuild.build(folder, backend=backend)  # the libraries that it loads keep what they open
    before, threads, files = _what_the_process_holds(), set(threading.enumerate()), _open_files()
    for _ in range(20):
        assert sqlbuild.build(folder, backend=backend).ok
    assert _what_the_process_holds() == before
    assert _that_stay(_ours_among(set(threading.enumerate()) - threads)) == []
    assert _open_files() <= files


async def test_builds_on_one_loop_leave_nothing_behind(project):
    folder = project()
    await sqlbuild.abuild(folder)
    before, threads = _what_the_process_holds(), set(threading.enumerate())
    for _ in range(5):
        await sqlbuild.abuild(folder, on_event=lambda event: None)
    assert _what_the_process_holds() == before
    # Anyio keeps a few worker threads for as long as the loop lives, for whoever needs them next.
    assert [thread for thread in _ours_among(set(threading.enumerate()) - threads) if "AnyIO" not in thread.name] == []


def _what_the_process_holds():
    return {
        "finders": list(map(repr, sys.meta_path)),
        "path": list(sys.path),
        "modules": {name for name in sys.modules if name.partition(".")[0] in ("tasks", "assets", "models")},
        "folder": os.getcwd(),
        "streams": (sys.stdout, sys.stderr),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "handlers": list(logging.getLogger().handlers),
    }


def _ours_among(threads):
    # Trio keeps its worker threads for a while, whatever loop they worked for.
    return [thread for thread in threads if not thread.name.startswith(("Trio", "pytest_timeout"))]


def _that_stay(threads):
    # Anyio tells its threads to end, and does not wait until they have.
    for thread in threads:
        thread.join(timeout=10)
    return [thread for thread in threads if thread.is_alive()]


def _open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


def test_a_build_within_a_build_is_refused(project):
    nodes = """
        import sqlbuild
        from sqlbuild.tasks import task

        @task
        def inner(ctx):
            return sqlbuild.build(".").exit_code
    """
    result = sqlbuild.build(project(**{"tasks/t.py": nodes}))
    assert result["inner"].error.type == ProjectAlreadyOpen.__name__
    assert "another build runs in this process" in result["inner"].error.message


def test_a_build_within_a_build_is_refused_by_a_path_that_means_another_place_now(project, monkeypatch):
    nodes = """
        import sqlbuild
        from sqlbuild.tasks import task

        @task
        def inner(ctx):
            return sqlbuild.build("shop").exit_code
    """
    folder = Path(project(**{"shop/sqlbuild_project.toml": 'name = "shop"', "shop/tasks/t.py": nodes}))
    monkeypatch.chdir(folder)
    result = sqlbuild.build("shop")
    assert result["inner"].error.type == ProjectAlreadyOpen.__name__


async def test_no_signal_handler_is_installed(project):
    nodes = """
        import signal
        from sqlbuild.tasks import task

        @task
        async def handlers(ctx):
            return [repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    """
    before = [repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert (await sqlbuild.abuild(project(**{"tasks/t.py": nodes})))["handlers"].payload == before


def test_nothing_is_printed_unless_a_stream_is_given(project, capfd):
    folder, output = project(), io.StringIO()
    sqlbuild.build(folder)
    assert capfd.readouterr() == ("", "")
    sqlbuild.build(folder, output=output)
    assert capfd.readouterr() == ("", "")
    assert "orders_report" in output.getvalue()
    assert "3 succeeded" in output.getvalue()


def test_events_are_told_in_order_and_what_nodes_print_is_among_them(project):
    events = []
    result = sqlbuild.build(project(), on_event=events.append)
    assert events[-1] == RunFinished(result.finished_at, result)
    assert [event.result.name for event in events if isinstance(event, NodeFinished)][-1] == "orders_report"
    assert ("export_orders", "exporting") in [(e.name, e.message) for e in events if isinstance(e, NodeLogged)]


def test_a_callback_that_raises_is_told_and_harms_nothing(project, capsys):
    calls = []

    def on_event(event):
        calls.append(event)
        raise ValueError("not today")

    assert sqlbuild.build(project(), on_event=on_event).ok
    assert len(calls) == 1
    assert "not today" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [{"threads": 0}, {"connections": -1}, {"grace": -1}, {"lock_timeout": float("nan")}]
)
def test_limits_that_make_no_sense_are_refused(project, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        sqlbuild.build(project(), **options)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"project_dir": 3}, "project_dir must be a path, not 3"),
        ({"select": 3}, "select must be text or several texts, not 3"),
        ({"exclude": ["a", 5]}, "exclude must be text or several texts, not ['a', 5]"),
        ({"target": 1}, "target must be text or None, not 1"),
        ({"vars": [1]}, "vars must be a dict or None, not [1]"),
        ({"vars": {1: "a"}}, "vars must have texts as names, not 1"),
        ({"only": "no"}, "only must be True or False, not 'no'"),
        ({"load": "yes"}, "load must be True, False or None, not 'yes'"),
        ({"resume": 7}, "resume must be True, False or the id of a run, not 7"),
        ({"threads": "3"}, "threads must be a whole number or None, not '3'"),
        ({"connections": True}, "connections must be a whole number or None, not True"),
        ({"grace": "x"}, "grace must be a number of seconds, not 'x'"),
        ({"lock_timeout": None}, "lock_timeout must be a number of seconds, not None"),
        ({"on_event": 3}, "on_event must be a function or None, not 3"),
        ({"output": 3}, "output must be a text stream or None, not 3"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_refused(project, argument, said):
    given = {"project_dir": project(), **argument}
    with pytest.raises(TypeError, match=re.escape(said)):
        sqlbuild.build(**given)
    with pytest.raises(TypeError, match=re.escape(said)):
        anyio.run(lambda: sqlbuild.abuild(**given))


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"backend": "foo"}, "backend must be 'asyncio' or 'trio', not 'foo'"),
        ({"backend": []}, "backend must be 'asyncio' or 'trio', not []"),
        ({"vars": {"a": {1, 2}}}, "vars['a'] must be text, a finite number"),
        ({"vars": {"a": float("nan")}}, "vars['a'] must be text, a finite number"),
    ],
)
def test_a_backend_and_vars_that_there_cannot_be_are_refused(project, argument, said):
    @task
    def one(ctx):
        return 1

    with pytest.raises(ValueError, match=re.escape(said)):
        sqlbuild.build(project(), **argument)
    with pytest.raises(ValueError, match=re.escape(said)):
        run_node(one, **argument)


def test_arguments_are_checked_by_a_table_that_knows_all_of_them():
    checked_elsewhere = {"select", "exclude", "backend"}
    assert set(inspect.signature(sqlbuild.build).parameters) == checked_elsewhere | _TAKES.keys()


def test_fail_fast_stops_the_rest(project):
    nodes = """
        import anyio
        from sqlbuild.tasks import task

        @task
        async def broken(ctx):
            raise ValueError

        @task
        async def waits(ctx):
            await anyio.sleep(3600)
    """
    result = sqlbuild.build(project(**{"tasks/t.py": nodes}), fail_fast=True)
    assert result.stopped_by == "fail-fast"
    assert result["broken"].status is Status.FAILED
    assert result["waits"].status in (Status.CANCELLED, Status.NOT_STARTED)


def test_a_dry_run_writes_nothing(project):
    folder = project()
    result = sqlbuild.build(folder, dry_run=True)
    assert result.dry_run
    assert not (folder / "target/runs").exists()
    assert not (folder / "shop.duckdb").exists()


def test_contradicting_options_are_refused(project):
    with pytest.raises(ValueError, match="contradict"):
        sqlbuild.build(project(), load=False, reload=True)


def test_checks_are_built_unless_left_out(project):
    nodes = """
        from sqlbuild.checks import check
        from sqlbuild.refs import model

        @check(depends_on=model("orders"))
        def never_enough(ctx):
            return False
    """
    folder = project(**{"checks/c.py": nodes, "models/orders.sql": "SELECT 1 AS order_id"})
    assert sqlbuild.build(folder)["never_enough"].status is Status.FAILED
    assert sqlbuild.build(folder, no_audits=True).ok


def test_a_run_that_failed_is_resumed(project):
    nodes = """
        import pathlib
        from sqlbuild.tasks import task

        @task
        def before(ctx):
            return 1

        @task(depends_on=before)
        def mended(ctx):
            if not pathlib.Path("mended").exists():
                raise ValueError(ctx.vars["month"])
    """
    folder = project(**{"tasks/t.py": nodes})
    failed = sqlbuild.build(folder, select="before mended", vars={"month": 5})
    assert failed["mended"].error.message == "5"
    (folder / "mended").touch()
    with pytest.raises(ValueError, match="resume goes on"):
        sqlbuild.build(folder, select="mended", resume=True)
    resumed = sqlbuild.build(folder, resume=failed.run_id)
    assert resumed.ok
    assert resumed.run_id == failed.run_id
    assert resumed["mended"].status is Status.SUCCEEDED
    with pytest.raises(ValueError, match="force"):
        sqlbuild.build(folder, force=True)
