from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sqlbuild.domain.nodes import Model, Source
from sqlbuild.domain.project import Project
from sqlbuild.project.load_project import load_project
from sqlbuild.project.read_python import close_python

Load = Callable[..., Project]
SETTINGS = """
name = "shop"
[vars]
days = 3
grants = { role = "analyst" }
"""
CURRENCY = """
import functools
from sqlbuild.refs import SqlResourceRef

_CENTS = 100

def dollars(expression):
    return f"({_quoted(expression)} / {_CENTS}.0)"

def rounded(expression, *, digits=2):
    return f"ROUND({expression}, {digits})"

def union_all(relations: list[SqlResourceRef]) -> str:
    return " UNION ALL ".join(f"SELECT * FROM {each}" for each in relations)

def nothing_of(relation):
    return f"'{relation.kind} {relation.name}'"

def raw_orders():
    return '__source("raw_orders")'

def recent(ctx, column="day"):
    return f"{column} >= {ctx.vars['days']} -- {ctx.target} {ctx.target_name} {ctx.adapter_name}"

def role(ctx):
    return ctx.vars["grants"]["role"] + ctx.vars["missing"]

@functools.cache
def cached(x):
    return f"'{x}'"

def _quoted(expression):
    return expression
"""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    def load(files: dict[str, str], **options) -> Project:
        files = {"sqlbuild_project.toml": SETTINGS, "macros/python/currency.py": CURRENCY, **files}
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return load_project(str(tmp_path), **{"environ": {}, **options})

    yield load
    close_python(tmp_path)


def models(project: Project) -> dict[str, Model]:
    assert project.problems == ()
    return {each.name: each for each in project.declarations if isinstance(each, Model)}


def expanded(load: Load, sql: str, **files: str) -> Model:
    return models(load({"models/m.sql": sql, **files}))["m"]


def problems(load: Load, sql: str, files: dict[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in load({"models/m.sql": sql, **(files or {})}).problems]


def test_a_call_becomes_what_the_macro_returns(load: Load):
    model = expanded(load, 'SELECT @py.dollars("amount") AS a,\n @py.rounded("b", digits=1) FROM __ref("x")')
    assert model.sql == 'SELECT (amount / 100.0) AS a,\n ROUND(b, 1) FROM __ref("x")'
    (reference,) = model.references
    assert model.sql[reference.start : reference.end] == '__ref("x")'
    assert str(reference.place) == "models/m.sql:2:34"
    assert [(each.macro, model.sql[each.start : each.end], str(each.place)) for each in model.expansions] == [
        ("dollars", "(amount / 100.0)", "models/m.sql:1:8"),
        ("rounded", "ROUND(b, 1)", "models/m.sql:2:2"),
    ]
    assert str(model.expansions[0].defined) == "macros/python/currency.py:7"


def test_calls_in_texts_and_comments_stay(load: Load):
    sql = """SELECT '@py.x()', "@py.x()", $$@py.x()$$ -- @py.x()\n/* @py.x() */"""
    assert expanded(load, sql).sql == sql


def test_the_inner_of_two_calls_is_made_first(load: Load):
    assert expanded(load, """SELECT @py.rounded( @py.dollars('"a b"'), digits = 0 )""").sql == (
        'SELECT ROUND(("a b" / 100.0), 0)'
    )


def test_references_that_a_macro_is_given_or_gives_are_dependencies(load: Load):
    model = expanded(
        load,
        'FROM (@py.union_all([__ref("eu"), __ref("us")])) JOIN @py.raw_orders() ON @py.nothing_of(__seed("s")) = 1',
    )
    assert model.sql == (
        'FROM (SELECT * FROM __ref("eu") UNION ALL SELECT * FROM __ref("us")) '
        "JOIN __source(\"raw_orders\") ON 'seed s' = 1"
    )
    found = [(repr(each.reference), model.sql[each.start : each.end], str(each.place)) for each in model.references]
    assert found == [
        ("model('eu')", '__ref("eu")', "models/m.sql:1:22"),
        ("model('us')", '__ref("us")', "models/m.sql:1:35"),
        ("source('raw_orders')", '__source("raw_orders")', "models/m.sql:1:55"),
    ]
    assert [repr(each.reference) for each in model.passed] == ["model('eu')", "model('us')", "seed('s')"]


def test_the_context_tells_adapter_target_and_vars(load: Load):
    sql = expanded(load, "SELECT @py.recent() AND 1 = 1").sql
    assert sql == "SELECT day >= 3 -- dev dev duckdb\n AND 1 = 1"
    load_again = load({"models/m.sql": 'SELECT @py.recent(column="d")'}, vars={"days": 9})
    assert models(load_again)["m"].sql == "SELECT d >= 9 -- dev dev duckdb\n"


def test_a_macro_that_is_wrapped_is_a_macro(load: Load):
    assert expanded(load, "SELECT @py.cached(1)").sql == "SELECT '1'"


LOCAL = {
    "models/marts/_sqlbuild/macros/python/marts.py": (
        "from macros.python.currency import rounded\n"
        "def dollars(e):\n    return 'marts ' + rounded(e)\n"
        "def of_marts():\n    return '1'\n"
    ),
    "models/marts/eu/_sqlbuild/_macros/python/eu.py": "def dollars(e):\n    return 'eu ' + e\n",
}


def test_the_nearest_macro_that_is_visible_is_called(load: Load):
    sql = "SELECT @py.dollars('a')"
    places = ["models/top.sql", "models/marts/mart.sql", "models/marts/eu/here.sql", "models/marts/eu/deep/below.sql"]
    found = models(load({**LOCAL, **dict.fromkeys(places, sql)}))
    assert {name: model.sql for name, model in found.items()} == {
        "top": "SELECT (a / 100.0)",
        "mart": "SELECT marts ROUND(a, 2)",
        "here": "SELECT eu a",
        "below": "SELECT marts ROUND(a, 2)",
    }


def test_a_macro_of_another_folder_is_named_with_its_file(load: Load):
    (problem,) = problems(load, "SELECT @py.of_marts()", LOCAL)
    assert problem.startswith(
        "error[UNKNOWN_MACRO] models/m.sql:1:8: there is no macro of_marts\n  help: one stands in"
    )
    assert "models/marts/_sqlbuild/macros/python/marts.py, which is not visible here" in problem


def test_nothing_is_imported_where_nothing_is_called(load: Load):
    project = load({"models/m.sql": "SELECT '@py.dollars(1)' AS x", "macros/python/broken.py": "1 / 0\n"})
    assert project.problems == ()
    assert "macros" not in sys.modules


def test_variables_of_the_project_and_of_the_environment_stand_in_sql(load: Load):
    sql = """
        SELECT @@days AS days, '@@ENV:SHOP_REGION' AS region, -- @@nothing
          @py.dollars("@@days") AS a, @py.dollars(@@days) AS b, '/* @@days'
        FROM __ref("other")
    """
    written = {"models/m.sql": sql, "models/other.sql": "SELECT @@days AS n"}
    read = models(load(written, environ={"SHOP_REGION": "north"}, vars={"days": 9}))
    lines = [line.strip() for line in read["m"].sql.splitlines()]
    assert lines == [
        "SELECT 9 AS days, 'north' AS region, -- @@nothing",
        "(9 / 100.0) AS a, (9 / 100.0) AS b, '/* 9'",
        'FROM __ref("other")',
    ]
    assert [(each.reference.name, each.place.line) for each in read["m"].references] == [("other", 4)]
    assert read["other"].sql == "SELECT 9 AS n"


def test_expressions_of_sources_call_macros_and_read_variables(load: Load):
    yaml = """
sources:
  - name: raw
    expression: |
      SELECT @py.dollars("x") AS a, @@days AS days FROM read_csv('@@days.csv')
"""
    project = load({"sources/raw.yml": yaml, "models/m.sql": 'SELECT a FROM __source("raw")'})
    assert project.problems == ()
    (source,) = (each for each in project.declarations if isinstance(each, Source))
    assert source.expression == "SELECT (x / 100.0) AS a, 3 AS days FROM read_csv('3.csv')"
    for call in ('@py.dollars(__ref("m"))', '@py.nothing_of(__ref("m"))[:0]'):
        wrong = load({"sources/raw.yml": yaml.replace('@py.dollars("x")', call)})
        assert ["`sources[0].expression` refers to" in str(each) for each in wrong.problems] == [True]


@pytest.mark.parametrize(
    ("sql", "told", "help"),
    [
        ("SELECT @py.dolars('a')", "UNKNOWN_MACRO] models/m.sql:1:8: there is no macro dolars", "@py.dollars(...)?"),
        ("SELECT @py._quoted('a')", "UNKNOWN_MACRO] models/m.sql:1:8: there is no macro _quoted", "define it"),
        ("SELECT\n @py.dollars()", "MACRO_CALL] models/m.sql:2:2: dollars: missing a required", "@py.dollars(expr"),
        ("SELECT @py.rounded('a', 3)", "MACRO_CALL] models/m.sql:1:8: rounded: too many", "(expression, digits=2)"),
        ("SELECT @py.dollars(a)", "MACRO_CALL] models/m.sql:1:20: `a` is no value", 'put it in quotes: "a"'),
        ("SELECT @py.dollars", "MACRO_CALL] models/m.sql:1:8: no macro is called here", "@py.name(...)"),
        ("SELECT @py.dollars(__reff('x'))", "`__reff` is no value that a macro can be given", "arguments are"),
        ("SELECT @py.dollars(__ref('x'))", "REFERENCE] models/m.sql:1:20: `__ref('x')` is not a valid", '__ref("x")'),
        (
            "SELECT @py.role()",
            'raised MissingVar: there is no var "missing"\n    macros/python/currency.py:26',
            "[vars]",
        ),
        ("SELECT @py.dollars('a; b')", "MACRO] models/m.sql:1:8: what the macro dollars gives has a semicolon", "see"),
        ('SELECT @py.dollars("\'a")', "MACRO] models/m.sql:1:8: what the macro dollars gives has a string", "see mac"),
        ("SELECT @py.dollars('@py.x()')", "gives: it calls a macro", "call that function in Python"),
        ("SELECT @py.dollars('__ref(x)')", "REFERENCE] models/m.sql:1:8: what the macro dollars (", '__ref("x")'),
        ("SELECT 1,\n  @@dayz", "VARIABLE] models/m.sql:2:3: there is no var dayz", "`days`"),
        ("SELECT '@@ENV:SHOP_NOTHING'", "VARIABLE] models/m.sql:1:9: the environment variable SHOP_NOTHING", "set it"),
        ("SELECT @@CTX:model.name", "VARIABLE] models/m.sql:1:8: @@CTX:model.name stands in hooks only", "pre_hooks"),
        ("SELECT @@@day", "UNSUPPORTED] models/m.sql:1:8: `@@@`: placeholders in SQL", "write the SQL out"),
        ("SELECT @sql.x(1)", "UNSUPPORTED] models/m.sql:1:8: `@sql.`: SQL macros", "macros/python/"),
        ("SELECT @const('x')", "UNSUPPORTED] models/m.sql:1:8: `@const`: constants", "write the value out"),
    ],
)
def test_a_wrong_call_is_told_with_its_place_and_what_to_do(load: Load, sql: str, told: str, help: str):
    (problem,) = problems(load, sql)
    assert told in problem
    assert help in problem.partition("help: ")[2]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 1", "the macro f returned an object of type int, not a text"),
        ("pass", "the macro f returned None"),
        ("raise SystemExit(3)", "the macro f raised SystemExit: 3"),
        (
            "return g()\ndef g():\n    raise KeyError('a')",
            "raised KeyError: a\n    macros/python/f.py:2 in f: return g()\n",
        ),
    ],
)
def test_a_macro_that_gives_no_text_is_told_at_its_call(load: Load, body: str, told: str):
    (problem,) = problems(load, "SELECT 1,\n  @py.f()", {"macros/python/f.py": f"def f():\n    {body}\n"})
    assert problem.startswith("error[MACRO] models/m.sql:2:3: ")
    assert told in problem


def test_an_async_macro_is_refused(load: Load):
    (problem,) = problems(load, "SELECT @py.f()", {"macros/python/f.py": "async def f():\n    return 'x'\n"})
    assert "the macro f is `async def`" in problem


def test_a_file_that_cannot_be_imported_is_the_only_problem(load: Load):
    files = {"macros/python/bad.py": "import json\n1 / 0\n", "models/n.sql": "SELECT @py.unknown()"}
    (problem,) = problems(load, "SELECT @py.also_unknown('x') FROM (", files)
    assert problem.startswith("error[IMPORT] macros/python/bad.py:2: ZeroDivisionError")


def test_a_name_that_two_files_define_is_told(load: Load):
    (problem,) = problems(load, "SELECT @py.dollars('x')", {"macros/python/more.py": "def dollars(e):\n    return e\n"})
    assert problem.startswith("error[DUPLICATE_NAME] macros/python/more.py:1: the macro dollars is defined at macros/")


def test_nodes_that_a_macro_file_imports_are_read_once(load: Load):
    task = "from sqlbuild.tasks import task\nLIMIT = 3\n@task\ndef t(ctx):\n    '''Does.'''\n"
    macro = "from tasks.t import LIMIT\nprint('imported')\ndef limit():\n    return str(LIMIT)\n"
    project = load({"models/m.sql": "SELECT @py.limit() AS x", "tasks/t.py": task, "macros/python/limit.py": macro})
    assert models(project)["m"].sql == "SELECT 3 AS x"
    assert set(project.code) == {"task:t"}


def test_a_folder_whose_name_is_taken_matters_if_it_has_macros(load: Load, monkeypatch):
    monkeypatch.setitem(sys.modules, "models", types.ModuleType("models"))
    assert expanded(load, 'SELECT @py.dollars("x") AS x')
    found = load({**LOCAL, "models/marts/m.sql": "SELECT @py.of_marts()"}).problems
    assert [str(problem).splitlines()[0] for problem in found] == [
        "error[NAME_TAKEN] models: `models` is imported already, from the interpreter"
    ]
