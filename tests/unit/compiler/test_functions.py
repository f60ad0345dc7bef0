from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.errors import ProjectError
from sqlbuild.project.load_project import load_project
from sqlbuild.project.read_python import close_python
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

FILES = {
    "sqlbuild_project.toml": 'name = "shop"\n[targets.dev]\nschema = "dev"\n',
    "models/orders.sql": "SELECT 1 AS id, 250 AS cents, 'open' AS status",
    "functions/sql/is_done.sql": "FUNCTION (arguments (status VARCHAR), returns BOOLEAN);\nstatus = 'done'",
    "functions/sql/orders_of.sql": (
        "FUNCTION (arguments (least INTEGER), returns table (order_id INTEGER, done BOOLEAN, cents BIGINT));\n"
        'SELECT o.id AS order_id, __udf("is_done")(o.status) AS done, cents\n'
        'FROM __ref("orders") AS o WHERE cents > least'
    ),
    "models/mart.sql": (
        'SELECT t.*, __udf("is_done")(\'x\') AS no, abs(t.cents) AS a FROM __table_fn("orders_of")(100) AS t'
    ),
}
MART, DONE, OF = NodeId("model:mart"), NodeId("function:is_done"), NodeId("function:orders_of")


@pytest.fixture
def compiled(tmp_path: Path) -> Iterator[Callable[..., Graph]]:
    def compiled(**changed: str) -> Graph:
        names = {path.rpartition("/")[2].partition(".")[0]: path for path in FILES}
        files = FILES | {names.get(name, f"models/{name}.sql"): text for name, text in changed.items()}
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return compile_project(load_project(str(tmp_path), environ={}), InMemoryAnalysisCache())

    yield compiled
    close_python(tmp_path)


def problems(compiled: Callable[..., Graph], **changed: str) -> list[str]:
    with pytest.raises(ProjectError) as caught:
        compiled(**changed)
    return [str(problem) for problem in caught.value.problems]


def test_functions_are_nodes_between_what_they_read_and_what_calls_them(compiled):
    graph = compiled()
    assert graph.nodes[OF].depends_on == ("function:is_done", "model:orders")
    assert graph.nodes[MART].depends_on == ("function:is_done", "function:orders_of")
    assert graph.nodes[OF].relation == Relation("", "dev", "orders_of")
    assert graph.nodes[MART].sql == (
        'SELECT t.*, "dev"."is_done"(\'x\') AS no, abs(t.cents) AS a FROM "dev"."orders_of"(100) AS t'
    )


def test_columns_types_and_lineage_go_through_functions(compiled):
    graph = compiled()
    assert [(column.name, column.type) for column in graph.nodes[MART].columns or ()] == [
        ("order_id", "INTEGER"),
        ("done", "BOOLEAN"),
        ("cents", "BIGINT"),
        ("no", "BOOLEAN"),
        ("a", "BIGINT"),
    ]
    assert [(each.node, each.column) for each in graph.nodes[MART].column_lineage["done"]] == [(OF, "done")]
    lineage = graph.nodes[OF].column_lineage
    assert {name: [each.column for each in origins] for name, origins in lineage.items()} == {
        "order_id": ["id"],
        "done": ["status"],
        "cents": ["cents"],
    }
    assert graph.nodes[DONE].notes == ()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"mart": 'SELECT __udf("is_doen")(1) AS x'},
            'UNKNOWN_REFERENCE] models/mart.sql:1:8: mart reads __udf("is_doen"), but there is no function "is_doen"\n'
            '  help: did you mean "is_done"?',
        ),
        (
            {"mart": 'SELECT * FROM __ref("is_done")'},
            'UNKNOWN_REFERENCE] models/mart.sql:1:15: mart reads __ref("is_done"), but "is_done" is a function\n'
            '  help: call it: __udf("is_done")(...), or __table_fn if it gives a table',
        ),
        (
            {"mart": 'SELECT __udf("orders_of")(1) AS x'},
            'FUNCTION_CALL] models/mart.sql:1:8: mart calls __udf("orders_of"), which is a table function',
        ),
        (
            {"mart": 'SELECT * FROM __table_fn("is_done")(\'x\')'},
            'FUNCTION_CALL] models/mart.sql:1:15: mart calls __table_fn("is_done"), which is no table function',
        ),
        ({"mart": 'SELECT __udf("is_done") AS x'}, 'FUNCTION_CALL] models/mart.sql:1:8: mart: no arguments follow'),
        (
            {"mart": 'SELECT __udf("is_done")(1, 2) AS x'},
            'FUNCTION_CALL] models/mart.sql:1:8: mart gives __udf("is_done") 2 arguments, and it has 1\n'
            '  help: it is called __udf("is_done")(status VARCHAR)',
        ),
        ({"mart": 'SELECT nope FROM __table_fn("orders_of")(1)'}, "UNKNOWN_COLUMN] models/mart.sql:1:8: mart: unknown"),
        (
            {"is_done": "FUNCTION (arguments (status VARCHAR), returns BOOLEAN);\nstaus = 'done'", "mart": "SELECT 1 AS x"},
            "UNKNOWN_COLUMN] functions/sql/is_done.sql:2:1: is_done: unknown column staus\n  help: did you mean status?",
        ),
        (
            {"is_done": "FUNCTION (arguments (status VARCHAR), returns BOOLEAN);\nSELECT true AS a, 2 AS b"},
            "MISSING_COLUMN] functions/sql/is_done.sql:1:1: is_done returns one value, but its query gives 2 columns",
        ),
        (
            {"orders_of": "FUNCTION (arguments (x INT), returns table (a INT, b INT)); SELECT 1 AS b, 2 AS a", "mart": "SELECT 1"},
            "MISSING_COLUMN] functions/sql/orders_of.sql:1:1: orders_of: column 1 is called a in `returns` and b in",
        ),
        (
            {"orders_of": "FUNCTION (arguments (x INT), returns table (a INT, b INT)); SELECT 1 AS a", "mart": "SELECT 1"},
            "MISSING_COLUMN] functions/sql/orders_of.sql:1:1: orders_of returns 2 columns, but its query gives 1",
        ),
        (
            {"is_done": "FUNCTION (arguments (status VARCHAR, b \"x;y\"), returns BOOLEAN); true", "mart": "SELECT 1",
             "orders_of": "FUNCTION (returns table (a INT)); SELECT 1 AS a"},
            "BAD_TYPE] functions/sql/is_done.sql:1:1: is_done: 'x;y' is not a type, of the argument b",
        ),
        (
            {"orders": 'SELECT __udf("is_done")(\'x\') AS id, 1 AS cents, order_id AS status FROM __table_fn("orders_of")(1)'},
            "CYCLE] ",
        ),
    ],
)  # fmt: skip
def test_wrong_functions_and_calls_are_told_with_their_place(compiled, changed: dict[str, str], told: str):
    found = problems(compiled, **changed)
    assert any(told in problem for problem in found), found


def test_a_function_whose_header_is_broken_is_the_only_problem(compiled):
    (problem,) = problems(compiled, is_done="FUNCTION (arguments (status), returns BOOLEAN);\nstaus")
    assert "HEADER_SYNTAX" in problem


def test_what_calls_a_function_changes_with_it(compiled):
    def total(**changed: str) -> str:
        return compiled(**changed).nodes[MART].fingerprint.total

    before = total()
    assert total(is_done=FILES["functions/sql/is_done.sql"].replace("\n", "\n -- when?\n")) == before
    assert total(is_done=FILES["functions/sql/is_done.sql"].replace("'done'", "'closed'")) != before
    assert total(is_done=FILES["functions/sql/is_done.sql"].replace("VARCHAR", "TEXT")) != before


def test_python_functions_are_left_out_with_a_warning(compiled, tmp_path: Path):
    (tmp_path / "functions/python").mkdir(parents=True)
    (tmp_path / "functions/python/is_done_py.py").write_text("1 / 0\n")
    (warning,) = compiled().warnings
    assert str(warning).startswith("warning[UNSUPPORTED] functions/python/is_done_py.py: functions in Python are not")
