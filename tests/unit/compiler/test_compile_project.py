from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlbuild.assets import asset
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.columns import Column
from sqlbuild.domain.nodes import Materialization
from sqlbuild.errors import Problem
from sqlbuild.refs import model, source
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache
from sqlbuild.tasks import task


def shop(make: Any) -> Any:
    """A small project of every kind of node."""

    @task
    def fetch_rates() -> None: ...

    @asset(
        depends_on=[model("fact_orders"), fetch_rates],
        columns=[{"name": "total_cents", "type": "INTEGER"}],
        column_lineage={"total_cents": [{"node": "fact_orders", "column": "total_cents"}]},
    )
    def orders_export() -> None: ...

    @asset(depends_on=(orders_export, source("raw_orders")))
    def dashboard() -> None: ...

    return make.project(
        dashboard,
        orders_export,
        fetch_rates,
        make.source("raw_orders", columns=(Column(name="id", type="INTEGER"), Column(name="cents", type="INTEGER"))),
        make.model("stg_orders", 'SELECT id AS order_id, cents FROM __source("raw_orders")'),
        make.model(
            "fact_orders",
            'SELECT order_id, sum(cents) AS total_cents\nFROM __ref("stg_orders")\nGROUP BY ALL',
            materialized=Materialization.TABLE,
            columns=(Column(name="total_cents", type="BIGINT"),),
            tags=("marts",),
        ),
    )


def test_a_small_project_becomes_a_graph(make: Any) -> None:
    graph = make.graph(shop(make))
    assert list(graph.nodes) == [
        "source:raw_orders",
        "model:stg_orders",
        "model:fact_orders",
        "task:fetch_rates",
        "asset:orders_export",
        "asset:dashboard",
    ]
    assert graph.downstream["source:raw_orders"] == ("model:stg_orders", "asset:dashboard")
    assert graph.directly_below("source:raw_orders") == graph.downstream["source:raw_orders"]
    assert (graph.directly_below("asset:dashboard"), "asset:dashboard" in graph.downstream) == ((), False)
    assert graph.descendants(["model:stg_orders"]) == {"model:fact_orders", "asset:orders_export", "asset:dashboard"}
    fact = graph.nodes["model:fact_orders"]
    assert fact.columns == (Column(name="order_id", type="INTEGER"), Column(name="total_cents", type="BIGINT"))
    assert fact.tags == ("marts",)
    assert graph.nodes["asset:orders_export"].columns == (Column(name="total_cents", type="INTEGER"),)
    assert graph.nodes["task:fetch_rates"].columns is None
    assert graph.warnings == ()


def test_the_same_project_gives_the_same_graph(make: Any) -> None:
    project = shop(make)
    assert make.graph(project) == make.graph(project)


def test_all_problems_come_together_sorted_by_place(make: Any) -> None:
    @task(pool="nowhere")
    def push() -> None: ...

    read = Problem(code="YAML", message="tab", path="sources/raw.yml", line=1)
    warned = Problem(code="OLD", message="old key", path="a.toml", severity="warning")
    project = make.project(
        push,
        make.model("a", 'SELECT * FROM __ref("b")'),
        make.model("b", 'SELECT * FROM __ref("a"), __ref("gone")'),
        make.model("Upper"),
        problems=[read, warned],
    )
    found = make.problems(project)
    assert [(problem.code, problem.path) for problem in found] == [
        ("OLD", "a.toml"),
        ("BAD_NAME", "models/Upper.sql"),
        ("CYCLE", "models/a.sql"),
        ("UNKNOWN_REFERENCE", "models/b.sql"),
        ("YAML", "sources/raw.yml"),
        ("UNKNOWN_POOL", "tasks/jobs.py"),
    ]


def test_warnings_alone_do_not_stop_a_command(make: Any) -> None:
    warned = Problem(code="OLD", message="old key", severity="warning")
    assert make.graph(make.project(make.model("a"), problems=[warned])).warnings == (warned,)


def test_an_empty_project_is_an_empty_graph(make: Any) -> None:
    assert dict(make.graph(make.project()).nodes) == {}


def test_an_unchanged_project_is_not_analysed_again(make: Any) -> None:
    cache = InMemoryAnalysisCache()
    first = compile_project(shop(make), cache)
    assert (cache.hits, cache.misses) == (0, 2)
    assert compile_project(shop(make), cache).nodes.keys() == first.nodes.keys()
    assert (cache.hits, cache.misses) == (2, 2)


def test_only_what_changed_and_what_sees_it_is_analysed_again(make: Any) -> None:
    def chain(first: str) -> Any:
        return make.project(
            make.model("a", first), make.model("b", 'SELECT x FROM __ref("a")'), make.model("c", 'FROM __ref("b")')
        )

    cache = InMemoryAnalysisCache()
    compile_project(chain("SELECT 1 AS x"), cache)
    compile_project(chain("SELECT 2 AS x"), cache)
    assert (cache.hits, cache.misses) == (2, 4)
    compile_project(chain("SELECT 2 AS x, 3 AS y"), cache)
    assert (cache.hits, cache.misses) == (3, 6)


def test_a_damaged_cache_entry_is_analysed_again(make: Any) -> None:
    cache = InMemoryAnalysisCache()
    graph = compile_project(shop(make), cache)
    for damage in ("", "{}", "[1,2,3,4,5]", '["d",[["x"]],[],[],[]]', "null"):
        cache.entries = dict.fromkeys(cache.entries, damage)
        assert compile_project(shop(make), cache).nodes["model:fact_orders"] == graph.nodes["model:fact_orders"]


def test_compiling_without_changes_does_not_load_the_parser() -> None:
    code = """if True:
        import sys
        from sqlbuild.compiler.compile_project import compile_project
        from sqlbuild.domain.ids import Place
        from sqlbuild.domain.nodes import Model
        from sqlbuild.domain.project import Project
        from sqlbuild.domain.settings import Connection, Settings, Target
        from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

        target = Target(name="dev", connection=Connection(name="c", adapter="duckdb"), schema="s")
        place = Place("models/m.sql", 1)
        project = Project(
            root="/", settings=Settings(name="p", target=target, targets={}),
            declarations=(Model(name="m", place=place, sql="SELECT 1 AS x", sql_line=1),),
        )
        cache = InMemoryAnalysisCache()
        if sys.argv[1:]:
            cache.entries = dict([sys.argv[1:3]])
        compile_project(project, cache)
        print("sqlglot" in sys.modules, *[part for item in cache.entries.items() for part in item])
    """
    run = [sys.executable, "-c", code]
    loaded, key, value = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip().split(" ", 2)
    assert loaded == "True"
    again = subprocess.run([*run, key, value], capture_output=True, text=True, check=True)
    assert again.stdout.startswith("False ")


@st.composite
def projects(draw: st.DrawFn) -> list[tuple[str, list[str]]]:
    names = [f"m{number}" for number in range(draw(st.integers(1, 8)))]
    nodes = [(name, draw(st.lists(st.sampled_from(names), max_size=3))) for name in names]
    return draw(st.permutations(nodes))


@settings(max_examples=60, deadline=None)
@given(nodes=projects())
def test_random_projects_compile_if_and_only_if_they_have_no_cycle(
    make: Any, nodes: list[tuple[str, list[str]]]
) -> None:
    models = [
        make.model(name, "SELECT 1 AS x" + "".join(f', (SELECT max(x) FROM __ref("{one}"))' for one in upstream))
        for name, upstream in nodes
    ]
    left = dict(nodes)
    while free := [name for name, upstream in left.items() if not set(upstream) & set(left)]:
        for name in free:
            del left[name]
    project = make.project(*models)
    assert {problem.code for problem in make.problems(project)} == ({"CYCLE"} if left else set())
    if left:
        return
    graph = make.graph(project)
    place = {node: position for position, node in enumerate(graph.nodes)}
    for name, upstream in nodes:
        assert all(place[f"model:{one}"] < place[f"model:{name}"] for one in upstream)


@pytest.mark.parametrize(("size", "chained"), [(10_000, False), (20_000, True)])
def test_very_many_python_nodes_cost_microseconds_each(make: Any, size: int, chained: bool) -> None:
    functions: list[Any] = []
    for number in range(size):

        def node() -> None: ...

        node.__name__ = f"node_{number}"
        functions.append(task(depends_on=functions[-1] if chained and functions else None)(node))
    project = make.project(*functions)
    started = time.process_time()
    graph = make.graph(project)
    microseconds = (time.process_time() - started) / size * 1e6
    assert len(graph.nodes) == size
    assert microseconds < 200
