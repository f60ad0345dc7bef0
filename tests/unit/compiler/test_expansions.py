from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeKind, node_id
from sqlbuild.errors import ProjectError
from sqlbuild.project.load_project import load_project
from sqlbuild.project.read_python import close_python
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

MACROS = """
def twice(x):
    return f"({x}\\n * 2)"

def since(ctx):
    return f"day > {ctx.vars['days']}"
"""
A = "MODEL (columns (n (type INTEGER), day (type INTEGER))); SELECT 1 AS n, 2 AS day"


@pytest.fixture
def compiled(tmp_path: Path) -> Iterator[Callable[..., Graph]]:
    def compiled(sql: str, macros: str = MACROS, **options) -> Graph:
        files = {
            "sqlbuild_project.toml": 'name = "shop"\n[vars]\ndays = 3\n',
            "macros/python/m.py": macros,
            "models/a.sql": A,
            "models/m.sql": sql,
        }
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return compile_project(load_project(str(tmp_path), environ={}, **options), InMemoryAnalysisCache())

    yield compiled
    close_python(tmp_path)


def problems(compiled: Callable[..., Graph], sql: str) -> list[str]:
    with pytest.raises(ProjectError) as caught:
        compiled(sql)
    return [str(problem) for problem in caught.value.problems]


M = node_id(NodeKind.MODEL, "m")


def test_what_macros_gave_is_rendered_typed_and_traced_as_any_sql(compiled):
    graph = compiled('SELECT @py.twice("a.n") AS d, a.n FROM __ref("a") AS a')
    node = graph.nodes[M]
    assert node.sql == 'SELECT (a.n\n * 2) AS d, a.n FROM "main"."a" AS a'
    assert [(column.name, column.type) for column in node.columns or ()] == [("d", "INTEGER"), ("n", "INTEGER")]
    assert [origin.column for origin in node.column_lineage["d"]] == ["n"]


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT (SELECT max(n) FROM __ref("a")) AS x, @py.twice("n") AS y, @py.twice("3") AS z FROM __ref("a")',
        'MODEL (materialized table, columns (x (type BIGINT))); SELECT n AS x, @py.twice("n") FROM __ref("a")',
    ],
)
def test_expansions_are_known_in_the_rendered_text(compiled, sql: str):
    node = compiled(sql).nodes[M]
    assert node.expansions
    for expansion in node.expansions:
        assert (node.sql or "")[expansion.start : expansion.end] in ("(n\n * 2)", "(3\n * 2)")


def test_a_wrong_column_in_what_a_macro_gave_is_told_at_the_call(compiled):
    (problem,) = problems(compiled, 'SELECT n,\n  @py.twice("m") AS x\nFROM __ref("a")')
    assert problem.startswith(
        "error[UNKNOWN_COLUMN] models/m.sql:2:3: m: unknown column m in a, in the SQL of the macro twice "
        "(macros/python/m.py:2)"
    )


def test_a_wrong_column_behind_a_macro_of_several_lines_is_told_where_it_stands(compiled):
    (problem,) = problems(compiled, 'SELECT @py.twice("n") AS x, nn\nFROM __ref("a")\nWHERE mm = 1')[:1]
    assert problem.startswith("error[UNKNOWN_COLUMN] models/m.sql:1:29: m: unknown column nn in a\n")


def test_a_reference_that_is_only_passed_is_a_dependency_and_must_exist(compiled):
    macros = "def name(x):\n    return f\"'{x.name}'\"\n"
    assert compiled('SELECT @py.name(__ref("a")) AS x', macros).nodes[M].depends_on == ("model:a",)
    with pytest.raises(ProjectError, match=r'models/m.sql:1:17: m reads __ref\("b"\)'):
        compiled('SELECT @py.name(__ref("b")) AS x', macros)


def test_a_model_changes_with_what_its_macros_give_and_with_nothing_else(compiled):
    def code(sql: str, macros: str = MACROS, **options) -> str:
        return compiled(sql, macros, **options).nodes[M].fingerprint.total

    sql = 'SELECT @py.twice("n") AS x FROM __ref("a")'
    assert code(sql) == code(sql, MACROS.replace("(x)", "(x, y=1)"))
    assert code(sql) == code(sql, vars={"days": 4})
    assert code(sql) != code(sql, MACROS.replace("* 2", "* 3"))
    sql = 'SELECT n FROM __ref("a") WHERE @py.since()'
    assert code(sql) != code(sql, vars={"days": 4})
