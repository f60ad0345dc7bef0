"""Bad input: one clear message with its place and the fix, the right exit code, nothing half-written."""

from __future__ import annotations

import os
import re

import pytest

ASSET = "from sqlbuild.assets import asset\n"
TASK = "from sqlbuild.tasks import task\n"

PROJECT_ERRORS = {
    "cycle of models": (
        {"models/a.sql": 'SELECT * FROM __ref("b")\n', "models/b.sql": 'SELECT * FROM __ref("a")\n'},
        [r"error\[CYCLE\]", r"a -> b -> a|b -> a -> b"],
    ),
    "self-reference": ({"models/a.sql": 'SELECT * FROM __ref("a")\n'}, [r"error\[CYCLE\]", "a -> a", r"models/a\.sql"]),
    "unknown reference": (
        {"models/orders.sql": "SELECT 1 AS a\n", "models/b.sql": 'SELECT *\nFROM __ref("order")\n'},
        [r"models/b\.sql:2:6", "order", "orders"],
    ),
    "unknown source": ({"models/b.sql": 'SELECT * FROM __source("nothing")\n'}, [r"models/b\.sql:1:15", "nothing"]),
    "duplicate name across kinds": (
        {"models/orders.sql": "SELECT 1 AS a\n", "assets/x.py": ASSET + "@asset\ndef orders(ctx): ...\n"},
        ["orders", r"models/orders\.sql", r"assets/x\.py:2"],
    ),
    "bad identifier": (
        {"assets/x.py": ASSET + "@asset(name='Orders Export')\ndef f(ctx): ...\n"},
        [r"assets/x\.py:2", "Orders Export", "snake_case"],
    ),
    "bad model name": ({"models/My-Model.sql": "SELECT 1 AS a\n"}, ["My-Model"]),
    "import error": (
        {
            "assets/broken.py": "import os\nimport nothing_like_this\n",
            "tasks/also.py": TASK + "@task(columns=[])\ndef f(ctx): ...\n",
        },
        [r"assets/broken\.py:2", "nothing_like_this", r"tasks/also\.py:2", "tasks have no columns; use @asset"],
    ),
    "syntax error": ({"assets/broken.py": "x = 1\ndef f(:\n"}, [r"assets/broken\.py:2"]),
    "error in a helper": (
        {"assets/a.py": "from lib.maths import x\n", "lib/maths.py": "x = 1\ny = 1 / 0\n"},
        [r"lib/maths\.py:2", "ZeroDivisionError"],
    ),
    "sys.exit in a module": ({"assets/a.py": "import sys\nsys.exit(3)\n"}, [r"assets/a\.py:2", "exit"]),
    "class": ({"assets/a.py": ASSET + "@asset\nclass A: ...\n"}, [r"assets/a\.py:2", "class"]),
    "lambda": ({"assets/a.py": ASSET + "f = asset(lambda ctx: 1)\n"}, [r"assets/a\.py:2", "lambda"]),
    "generator": ({"assets/a.py": ASSET + "@asset\ndef f(ctx):\n    yield 1\n"}, [r"assets/a\.py:2", "generator"]),
    "async generator": (
        {"assets/a.py": ASSET + "@asset\nasync def f(ctx):\n    yield 1\n"},
        [r"assets/a\.py:2", "generator"],
    ),
    "partial": (
        {"assets/a.py": ASSET + "import functools\ndef g(ctx, x): ...\nf = asset(functools.partial(g, x=1))\n"},
        [r"assets/a\.py:4", "partial"],
    ),
    "columns is no list": (
        {"assets/a.py": ASSET + "@asset(columns='id')\ndef f(ctx): ...\n"},
        [r"assets/a\.py:2", "columns"],
    ),
    "unknown key in columns": (
        {"assets/a.py": ASSET + "@asset(columns=[{'name': 'a', 'typ': 'INTEGER'}])\ndef f(ctx): ...\n"},
        [r"assets/a\.py:2", "typ", "type"],
    ),
    "duplicate column": (
        {"assets/a.py": ASSET + "@asset(columns=[{'name': 'a'}, {'name': 'a'}])\ndef f(ctx): ...\n"},
        [r"assets/a\.py:2", "a"],
    ),
    "column_lineage of wrong shape": (
        {"assets/a.py": ASSET + "@asset(column_lineage={'a': 'orders.a'})\ndef f(ctx): ...\n"},
        [r"assets/a\.py:2", "column_lineage"],
    ),
    "lineage names no node": (
        {"assets/a.py": ASSET + "@asset(column_lineage={'a': [{'node': 'nope', 'column': 'a'}]})\ndef f(ctx): ...\n"},
        [r"assets/a\.py:2", "nope"],
    ),
    "lineage names no column": (
        {
            "models/orders.sql": "SELECT 1 AS order_id\n",
            "assets/a.py": ASSET
            + "@asset(column_lineage={'a': [{'node': 'orders', 'column': 'oder_id'}]})\ndef f(ctx): ...\n",
        },
        [r"assets/a\.py:2", "oder_id", "order_id"],
    ),
    "tags of wrong shape": ({"assets/a.py": ASSET + "@asset(tags=5)\ndef f(ctx): ...\n"}, [r"assets/a\.py:2", "tags"]),
    "meta of wrong shape": (
        {"assets/a.py": ASSET + "@asset(meta={'x': object()})\ndef f(ctx): ...\n"},
        [r"assets/a\.py:2", "meta"],
    ),
    "depends_on of wrong shape": (
        {"assets/a.py": ASSET + "@asset(depends_on='orders')\ndef f(ctx): ...\n"},
        [r"assets/a\.py:2", "depends_on"],
    ),
    "depends_on an undecorated function": (
        {"assets/a.py": ASSET + "def g(): ...\n@asset(depends_on=g)\ndef f(ctx): ...\n"},
        [r"assets/a\.py:3", "g"],
    ),
    "wrong retry": ({"assets/a.py": ASSET + "@asset(retry=3)\ndef f(ctx): ...\n"}, [r"assets/a\.py:2", "RetryPolicy"]),
    "wrong retry field": (
        {
            "assets/a.py": ASSET
            + "from sqlbuild.retries import RetryPolicy\n@asset(retry=RetryPolicy(max_attempts='3'))\ndef f(ctx): ...\n"
        },
        [r"assets/a\.py:3", "max_attempts"],
    ),
    "late binding": (
        {"assets/a.py": ASSET + "for c in 'ab':\n    @asset(name=f'x_{c}')\n    def f(ctx):\n        return c\n"},
        [r"error\[LATE_BINDING\]", r"assets/a\.py:3", "c=c"],
    ),
    "unknown pool": ({"assets/a.py": ASSET + "@asset(pool='crm')\ndef f(ctx): ...\n"}, [r"assets/a\.py:2", "crm"]),
    "sync context on an async def": (
        {
            "assets/a.py": "from sqlbuild.assets import asset, AssetContext\n@asset\nasync def f(ctx: AssetContext): ...\n"
        },
        [r"assets/a\.py", "AsyncAssetContext"],
    ),
    "broken toml": ({"sqlbuild_project.toml": 'name = "shop"\n[settings\n'}, [r"sqlbuild_project\.toml:2"]),
    "unknown key in the settings": (
        {"sqlbuild_project.toml": 'name = "shop"\n[settings]\nconcurency = 3\n'},
        [r"sqlbuild_project\.toml:3", "concurency", "concurrency"],
    ),
    "limit below one": ({"sqlbuild_project.toml": 'name = "shop"\n[settings]\nthreads = 0\n'}, ["threads"]),
    "no name": ({"sqlbuild_project.toml": 'adapter = "duckdb"\n'}, ["name"]),
    "unset variable": (
        {"sqlbuild_project.toml": 'name = "shop"\n[connections.a]\ndatabase = "${ENV:NOT_SET_HERE}"\n'},
        ["NOT_SET_HERE"],
    ),
    "unknown key in a header": (
        {"models/a.sql": "MODEL (\n  materialised table,\n);\nSELECT 1 AS a\n"},
        [r"models/a\.sql:2:3", "materialised", "materialized"],
    ),
    "unclosed header": ({"models/a.sql": "MODEL (\n  tags [a,\n"}, [r"models/a\.sql:"]),
    "broken sql": ({"models/a.sql": "SELECT 1 AS a,,\nFROM\n"}, [r"models/a\.sql:"]),
    "unknown column": (
        {"models/a.sql": "SELECT 1 AS order_id\n", "models/b.sql": 'SELECT oder_id\nFROM __ref("a")\n'},
        [r"models/b\.sql:1:8", "oder_id", "order_id"],
    ),
    "malformed reference": ({"models/a.sql": "SELECT * FROM __ref('b')\n"}, [r"models/a\.sql:1:15", r'__ref\("b"\)']),
    "unknown key in yaml": (
        {"sources/s.yml": "sources:\n  - name: raw\n    tabel: x\n"},
        [r"sources/s\.yml:3:5", "tabel", "table"],
    ),
    "duplicate key in yaml": (
        {"sources/s.yml": "sources:\n  - name: raw\n    name: raw2\n"},
        [r"sources/s\.yml:3:5", "name"],
    ),
    "broken yaml": ({"sources/s.yml": "sources: [\n"}, [r"sources/s\.yml"]),
}


@pytest.mark.parametrize("case", PROJECT_ERRORS)
def test_a_wrong_project_is_told_with_place_and_fix(project, case):
    files, expected = PROJECT_ERRORS[case]
    finished = project.write(files).sqb("build")
    assert finished.code == 2, finished.everything
    assert "error[" in finished.err
    assert "help:" in finished.err
    for pattern in expected:
        assert re.search(pattern, finished.err), f"{pattern} is not in\n{finished.err}"
    assert "Traceback" not in finished.err
    assert not (project.root / "shop.duckdb").exists()


def test_all_errors_are_reported_together_in_order_of_place(project):
    project.write(
        {name: text for case in ("import error", "cycle of models") for name, text in PROJECT_ERRORS[case][0].items()}
    )
    project.write({"models/z.sql": 'SELECT * FROM __ref("nope")\n'})
    finished = project.sqb("compile")
    assert finished.code == 2
    for part in ("assets/broken.py:2", "tasks/also.py:2", "CYCLE", "models/z.sql:1"):
        assert part in finished.err


def test_errors_as_json_are_one_document(project):
    finished = project.write(PROJECT_ERRORS["unknown reference"][0]).sqb("build", "--json")
    assert finished.code == 2
    (problem,) = finished.json["problems"]
    assert (problem["path"], problem["line"], problem["column"]) == ("models/b.sql", 2, 6)


COMMAND_ERRORS = {
    "unknown selector": (["build", "ordrs"], ["ordrs", "orders"]),
    "unknown target": (["build", "--target", "prd"], ["prd", "dev"]),
    "empty selection": (["build", "tag:nothing"], ["tag", "nothing"]),
    "bad vars": (["build", "--vars", "{"], ["vars"]),
    "bad limit": (["build", "--threads", "0"], ["threads"]),
    "unknown option": (["build", "--nope"], ["--nope"]),
    "unknown command": (["bild"], ["bild"]),
    "missing upstream with only": (["build", "--only", "-s", "orders_export"], ["orders", r"\+orders_export"]),
    "unknown backend": (["build", "--backend", "twisted"], ["twisted"]),
}


@pytest.mark.parametrize("case", COMMAND_ERRORS)
def test_a_wrong_command_is_told(project, case):
    arguments, expected = COMMAND_ERRORS[case]
    project.write(
        {
            "models/orders.sql": "SELECT 1 AS a\n",
            "assets/x.py": ASSET
            + "from sqlbuild.refs import model\n@asset(depends_on=model('orders'))\ndef orders_export(ctx): ...\n",
        }
    )
    finished = project.sqb(*arguments)
    assert finished.code == 2, finished.everything
    for pattern in expected:
        assert re.search(pattern, finished.err), finished.everything
    assert "Traceback" not in finished.everything


def test_a_folder_without_a_project_says_how_to_begin(tmp_path, project):
    (project.root / "sqlbuild_project.toml").unlink()
    finished = project.sqb("build")
    assert finished.code == 2
    assert "sqb init" in finished.err


NODE_ERRORS = {
    "raises": ("raise ValueError('no money')", "ValueError", "no money"),
    "sys.exit": ("import sys; sys.exit(3)", "NodeExited", "sys.exit"),
    "NaN": ("return {'rows': [1, float('nan')]}", "UnstorableResult", r'payload\["rows"\]\[1\]'),
    "bytes in metadata": ("return ctx.result(metadata={'a': b'x'})", "UnstorableResult", r'metadata\["a"\]'),
    "coroutine": (
        "import asyncio\n    async def inner(): ...\n    return inner()",
        "MissingAwait",
        "await",
    ),
    "undeclared relation": (
        "from sqlbuild.refs import model\n    return ctx.relation(model('orders'))",
        "UndeclaredDependency",
        "depends_on",
    ),
    "bad sql": ("return ctx.query('SELEC 1').fetchall()", "WarehouseError", "SELEC"),
    "missing table": ("return ctx.query('SELECT * FROM nowhere').fetchall()", "WarehouseError", "nowhere"),
    "unknown skip mode": ("return ctx.skip('x', mode='gently')", "Error", "gently"),
}


@pytest.mark.parametrize("case", NODE_ERRORS)
def test_a_node_that_fails_is_shown_with_the_authors_traceback_and_harms_nobody(project, case):
    body, error_type, message = NODE_ERRORS[case]
    project.write(
        {
            "models/orders.sql": "SELECT 1 AS a\n",
            "tasks/t.py": TASK + f"@task\ndef bad(ctx):\n    {body}\n\n@task\ndef good(ctx):\n    return 1\n",
        }
    )
    finished = project.sqb("build")
    assert finished.code == 1, finished.everything
    assert project.statuses() == {"model:orders": "succeeded", "task:bad": "failed", "task:good": "succeeded"}
    error = project.result("bad")["error"]
    assert error_type in error["type"]
    assert re.search(message, error["message"] + error.get("help", "")), error
    assert "tasks/t.py" in finished.everything
    assert "/sqlbuild/runner/" not in finished.everything
    stored = project.rows("SELECT error_type, error_message FROM _sqlbuild_node_results WHERE node_name = 'bad'")
    assert stored == [(error["type"], error["message"])]


def test_a_model_that_fails_names_the_line_of_its_file_and_keeps_the_old_table(project):
    project.write({"models/orders.sql": "MODEL (materialized table);\nSELECT 1 AS a\n"}).build()
    project.write(
        {
            "models/base.sql": "SELECT 1 AS a\n",
            "models/orders.sql": "MODEL (materialized table, columns (a (type VARCHAR)));\n"
            "SELECT\n  CASE WHEN b.a = 1 THEN 'x' END AS a,\n  b.a::DATE AS b\nFROM __ref(\"base\") AS b\n",
        }
    )
    finished = project.sqb("build")
    assert finished.code == 1
    lines = finished.out.splitlines()
    excerpt = next(index for index, line in enumerate(lines) if line.strip().startswith("models/orders.sql:4:   b.a"))
    assert lines[excerpt + 1].index("^") == lines[excerpt].index("::DATE")
    project.write({"models/orders.sql": "MODEL (materialized table);\nSELECT\n  error('broken row') AS a\n"})
    finished = project.sqb("build")
    assert finished.code == 1
    assert "broken row" in finished.everything
    assert "models/orders.sql" in finished.everything
    assert project.rows("SELECT a FROM orders") == [(1,)]
    assert project.rows("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%staging%'") == []


def test_a_warehouse_file_that_is_no_database(project):
    (project.root / "shop.duckdb").write_bytes(b"not a database at all" * 100)
    finished = project.write({"models/a.sql": "SELECT 1 AS a\n"}).sqb("build")
    assert finished.code == 4
    assert "shop.duckdb" in finished.err
    assert "help:" in finished.err


def test_a_target_folder_that_cannot_be_written(project):
    (project.root / "target").write_text("in the way")
    finished = project.write({"models/a.sql": "SELECT 1 AS a\n"}).sqb("build")
    assert finished.code == 2, finished.everything
    assert "target" in finished.err
    assert not (project.root / "shop.duckdb").exists()


def test_a_locked_warehouse_names_the_holder(project):
    project.write(
        {
            "tasks/t.py": TASK
            + "import pathlib, time\n@task\ndef hold(ctx):\n    pathlib.Path('held').touch()\n"
            + "    while not pathlib.Path('release').exists(): time.sleep(0.01)\n",
        }
    )
    holder = project.start("build")
    try:
        while not (project.root / "held").exists():
            assert holder.poll() is None, holder.communicate()
        finished = project.sqb("build", "--lock-timeout", "0.2")
        assert finished.code == 3, finished.everything
        assert str(holder.pid) in finished.err
    finally:
        (project.root / "release").touch()
        holder.communicate(timeout=30)
    assert holder.returncode == 0


def test_a_closed_standard_output_does_not_end_the_run(project):
    project.write({"tasks/t.py": TASK + "for i in range(50):\n    @task(name=f't{i}')\n    def t(ctx): ...\n"})
    read, write = os.pipe()
    os.close(read)
    process = project.start("build")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=60)
    os.close(write)
    assert process.returncode == 0
    assert set(project.statuses().values()) == {"succeeded"}
