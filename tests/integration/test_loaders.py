"""Loaders and managed sources, from a project's files to the tables."""

from __future__ import annotations

import json
import signal

import pytest

SOURCE = "sources:\n  - {name: raw_orders, managed: true, write_strategy: append}\n"
MODEL = 'MODEL (materialized table);\nSELECT count(*) AS n FROM __source("raw_orders")\n'
LOADER = """
    from sqlbuild.loaders import loader

    @loader
    def raw_orders(ctx):
        {body}
"""


def loading(project, body: str, source: str = SOURCE, **files: str):
    project.write(
        {"sources/raw.yml": source, "models/orders.sql": MODEL, "loaders/orders.py": LOADER.format(body=body)}
    )
    return project.write({name.replace("__", "/") + ".py": text for name, text in files.items()})


def orders(project, columns: str = "*"):
    return project.rows(f"SELECT {columns} FROM main.raw_orders ORDER BY ALL")


def relations(project):
    return {name for (name,) in project.rows("SELECT table_name FROM duckdb_tables()")}


STATE = {
    "_sqlbuild_node_results", "_sqlbuild_runs", "_sqlbuild_commits", "_sqlbuild_meta", "_sqlbuild_fingerprints",
    "_sqlbuild_source_freshness",
}  # fmt: skip


def test_a_model_is_built_after_the_loader_of_the_source_it_reads(project):
    loading(project, "yield {'id': 1}; yield {'id': 2}")
    finished = project.build()
    assert project.statuses() == {"loader:raw_orders": "succeeded", "model:orders": "succeeded"}
    assert project.rows("SELECT n FROM main.orders") == [(2,)]
    assert project.result("raw_orders")["metadata"] == {"rows": 2, "write_strategy": "append"}
    assert "2 nodes (1 model, 1 loader)" in finished.out
    commits = project.rows("SELECT node_id, part, attempt FROM _sqlbuild_commits ORDER BY ALL")
    assert commits == [("loader:raw_orders", "load", 1), ("model:orders", "table", 1)]
    project.build()
    assert orders(project) == [(1,), (1,), (2,), (2,)]


def test_a_cursor_tells_the_next_run_where_to_go_on(project):
    source = """
        sources:
          - name: raw_orders
            managed: true
            write_strategy: merge
            unique_key: id
            cursor_column: seen
    """
    body = "start = ctx.current_cursor_value or 0; yield from ({'id': n, 'seen': n, 'run': ctx.run_id} for n in range(start, start + 3))"
    loading(project, body, source)
    project.build()
    project.build()
    assert orders(project, "id, seen") == [(n, n) for n in range(5)]
    assert project.rows("SELECT count(DISTINCT run) FROM raw_orders") == [(2,)]


def test_load_runs_loaders_alone_and_build_can_leave_them_out(project):
    loading(project, "return [{'id': 1, 'reload': ctx.is_reload}]")
    assert project.sqb("build", "--no-load", "orders").code == 2
    project.sqb("load")
    assert project.statuses() == {"loader:raw_orders": "succeeded"}
    project.build("--no-load")
    assert project.statuses() == {"model:orders": "succeeded"}
    finished = project.sqb("load", "raw_orders", "--reload", "--json")
    assert finished.json["exit_code"] == 0
    project.build("--reload")
    assert orders(project, "reload") == [(False,), (True,), (True,)]
    assert project.sqb("build", "--reload", "--no-load").code == 2
    nothing = project.sqb("load", "orders")
    assert (nothing.code, "there is no loader of what is selected" in nothing.err) == (2, True)


def test_the_settings_can_keep_builds_from_loading(project):
    loading(project, "return [{'id': 1}]")
    project.sqb("load")
    project.write({"sqlbuild_project.toml": 'name = "shop"\n[settings]\nauto_load_sources = false\n'})
    project.build()
    assert orders(project) == [(1,)]
    project.build("--load")
    assert orders(project) == [(1,), (1,)]


def test_a_model_alone_brings_the_loader_of_a_source_that_is_not_there(project):
    loading(project, "return [{'id': 1}]")
    project.build("--select", "orders")
    assert set(project.statuses()) == {"loader:raw_orders", "model:orders"}
    project.build("--select", "orders")
    assert set(project.statuses()) == {"model:orders"}
    assert project.sqb("show", "raw_orders", "--json").json["node"]["id"] == "loader:raw_orders"


def test_what_goes_wrong_while_loading_leaves_the_table_as_it_was(project):
    loading(project, "return [{'id': 1, 'note': 'x'}]")
    project.build()
    failing = {
        "yield from ({'id': n} for n in range(5_000)); raise OSError('connection reset')": "OSError: connection reset",
        "yield {'id': 2}; yield 'no row'": "row 2 is of type str, which is no row",
        "return [{'id': 'two'}]": "column id: main.raw_orders has BIGINT, the new rows have VARCHAR",
        "return [{'id': 2, 'note': {1}}]": "column note: row 1 holds an object of type set",
        "return 5": "raw_orders returned an object of type int, which holds no rows",
    }
    for body, message in failing.items():
        loading(project, body)
        finished = project.sqb("build")
        assert (finished.code, message in finished.everything) == (1, True), finished.everything
        assert "loaders/orders.py:" in finished.out
        assert "site-packages" not in finished.out
        assert "concurrent" not in finished.out
        assert project.statuses() == {"loader:raw_orders": "failed", "model:orders": "blocked"}
        assert orders(project) == [(1, "x")]
        assert relations(project) == {"raw_orders", "orders", *STATE}
    assert project.rows("FROM _sqlbuild_commits") == []


def test_rows_without_columns_ragged_rows_and_new_columns_are_taken_in(project):
    for body in ("return []", "return [{'id': 1}, {'name': 'x'}]", "return []", "return [{'id': 2, 'paid': True}]"):
        loading(project, body)
        project.sqb("load")
    assert orders(project) == [(1, None, None), (2, None, True), (None, "x", None)]
    assert project.result("raw_orders")["metadata"]["added_columns"] == ["paid"]


def test_loaders_feed_loaders_and_read_sources_and_tasks(project):
    project.write(
        {
            "sources/raw.yml": """
                sources:
                  - {name: plain, expression: "SELECT 40 AS n"}
                  - {name: raw_orders, managed: true}
            """,
            "tasks/token.py": "from sqlbuild.tasks import task\n\n@task\ndef token(ctx):\n    return 2\n",
            "python/loading.py": """
                from sqlbuild.loaders import AsyncLoaderContext, LoaderContext, loader
                from sqlbuild.refs import source
                from tasks.token import token

                @loader(depends_on=token)
                def stage(ctx: LoaderContext):
                    yield {"n": ctx.result_of(token).payload}

                @loader(depends_on=[stage, source("plain")])
                async def raw_orders(ctx: AsyncLoaderContext):
                    staged = ctx.loader(stage)
                    (n,) = await ctx.query(f"SELECT n FROM {staged.destination}").fetchone()
                    yield {"id": n + await ctx.source("plain").max("n")}
            """,
        }
    )
    project.sqb("load")
    assert set(project.statuses()) == {"task:token", "loader:stage", "loader:raw_orders"}
    assert orders(project) == [(42,)]
    assert "__loader__stage" in relations(project)


def test_a_loader_in_a_process_of_its_own_streams_its_rows(project):
    body = "yield from ({'id': n, 'pid': __import__('os').getpid()} for n in range(20_000))"
    loading(project, body)
    path = project.root / "loaders/orders.py"
    path.write_text(path.read_text().replace("@loader", '@loader(isolate="process")'))
    project.build()
    assert project.rows("SELECT count(*), count(DISTINCT pid), count(DISTINCT id) FROM raw_orders") == [
        (20_000, 1, 20_000)
    ]


def test_a_process_that_dies_while_loading_leaves_the_table_as_it_was(project):
    loading(project, "return [{'id': 1}]")
    project.build()
    loading(project, "yield from ({'id': n} for n in range(5_000)); __import__('os')._exit(3)")
    path = project.root / "loaders/orders.py"
    path.write_text(path.read_text().replace("@loader", '@loader(isolate="process")'))
    assert project.sqb("build").code == 1
    assert orders(project) == [(1,)]
    assert relations(project) == {"raw_orders", "orders", *STATE}


@pytest.mark.parametrize(("point", "rows"), [("load.staged", 1), ("load.applied", 1), ("load.committed", 2)])
def test_a_killed_load_is_in_the_table_exactly_if_its_marker_is(project, point, rows):
    loading(project, "return [{'id': 1}]")
    project.build()
    killed = project.sqb("load", env={"SQB_FAILPOINT": f"{point}:kill"})
    assert killed.code == -signal.SIGKILL
    assert len(orders(project)) == rows
    assert project.rows("SELECT count(*) FROM _sqlbuild_commits") == [(rows - 1,)]
    project.build()
    assert len(orders(project)) == rows + 1
    assert relations(project) == {"raw_orders", "orders", *STATE}


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_stopped_load_leaves_the_table_as_it_was(project, kind):
    loading(project, "return [{'id': 1}]")
    project.build()
    wait = "time.sleep(0.01)" if kind == "def" else "await anyio.sleep(0.01)"
    project.write(
        {
            "loaders/orders.py": f"""
                import time, anyio
                from pathlib import Path
                from sqlbuild.loaders import loader

                @loader
                {kind} raw_orders(ctx):
                    n = 0
                    while True:
                        yield [{{"id": n}}] * 1_000
                        Path("started").touch()
                        n += 1
                        {wait}
            """
        }
    )
    process = project.start("load")
    while not (project.root / "started").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert project.statuses() == {"loader:raw_orders": "cancelled"}
    assert orders(project) == [(1,)]
    assert relations(project) == {"raw_orders", "orders", *STATE}


def test_every_mistake_in_a_declaration_is_told_at_once(project):
    project.write(
        {
            "sources/raw.yml": """
                sources:
                  - {name: raw_orders, managed: true, write_strategy: merge}
                  - {name: raw_events, managed: true}
                  - {name: raw_lines}
            """,
            "models/orders.sql": MODEL,
            "loaders/all.py": """
                from sqlbuild.loaders import AsyncLoaderContext, loader
                from sqlbuild.refs import model

                @loader(depends_on=model("orders"))
                def raw_orders(ctx: AsyncLoaderContext): ...

                @loader
                def raw_lines(ctx): ...

                @loader(write_strategy="upsert")
                def nobody(ctx): ...
            """,
        }
    )
    finished = project.sqb("compile")
    assert finished.code == 2
    for told in (
        "error[LOADER] sources/raw.yml:3:5: raw_orders: write_strategy merge needs unique_key",
        'error[NO_LOADER] sources/raw.yml:4:5: the managed source "raw_events" has no loader of its name',
        'error[DUPLICATE_NAME] loaders/all.py:8: the loader "raw_lines" has the name of the source',
        "error[CONTEXT_KIND] loaders/all.py:5: raw_orders is `def` but its context is annotated AsyncLoaderContext",
        'error[DECLARATION] loaders/all.py:11: @loader: write_strategy: unknown value "upsert"',
        "raw_orders depends on the model orders",
    ):
        assert told in finished.err, finished.err


def test_dicts_load_without_pyarrow_and_arrow_says_what_to_install(project, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *args: None if name.partition('.')[0] == 'pyarrow' else find(name, *args)\n"
    )
    env = {"PYTHONPATH": str(blocked)}
    loading(project, "yield from ({'id': n, 'tags': [n], 'half': n / 2} for n in range(3_000))")
    project.build(env=env)
    assert project.rows("SELECT count(*), sum(half), typeof(any_value(tags)) FROM raw_orders") == [
        (3_000, 2_249_250.0, "JSON")
    ]
    loading(project, "import polars; return polars.DataFrame({'id': [1]})")
    finished = project.sqb("build", env=env)
    assert finished.code == 1
    assert "pip install 'sqlbuild[arrow]'" in finished.everything


def test_the_dag_and_the_plan_know_loaders(project):
    loading(project, "return [{'id': 1}]")
    project.sqb("compile", "--dag")
    document = json.loads((project.root / "target/sqlbuild_dag.json").read_text())
    kinds = {node["id"]: node["kind"] for node in document["nodes"]}
    assert kinds == {"source:raw_orders": "source", "loader:raw_orders": "loader", "model:orders": "model"}
    project.build()
    plan = project.sqb("plan", "--json").json
    assert [node["id"] for node in plan["nodes"]] == ["loader:raw_orders", "model:orders"]
    assert [
        node["id"] for node in project.sqb("plan", "--no-load", "--json", "raw_orders", "--allow-empty").json["nodes"]
    ] == []
